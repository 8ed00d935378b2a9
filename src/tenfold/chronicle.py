"""What a training run writes of itself: what is known before the first step, and a summary at its end."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tenfold import callbacks, config, machine, models, preparation, splits
from tenfold.budget import Budget
from tenfold.config import Config
from tenfold.galleries import most_pictures
from tenfold.runs import Run


def begin(
    run: Run,
    settings: Config,
    parts: splits.Parts,
    reason: str,
    command: str,
    kept: Mapping[str, bytes | Mapping[str, Any]],
) -> None:
    """Writes all that is known before the first step: settings, environment, data, splits.

    `kept` are files of a model of the user's own, from which the run can be built again.
    """
    train, accelerator = parts.train, machine.accelerator()
    for name, content in kept.items():
        run.write(name, content)
    run.write("config.yaml", config.to_yaml(settings))
    run.write("command.txt", (command or "tenfold.train(...)") + "\n")
    run.write(
        "environment.json",
        {
            **machine.versions(),
            "backend": settings.backend,
            "precision": settings.precision,
            "precision_reason": reason,
            "threads": preparation.threads(settings),
            "accelerator": accelerator.name if accelerator else None,
            "host_system": platform.system(),
        },
    )
    run.write(
        "data.json",
        {
            "source": settings.data,
            "path": str(Path(settings.data).absolute()) if Path(settings.data).exists() else None,
            "kind": parts.source.kind,
            "class_names": list(train.class_names),
            "image_size": settings.image_size,
            "fit": settings.fit,
            "counts": parts.counts,
            "notes": list(parts.notes),
        },
    )
    run.write("splits.json", splits.record(parts, settings))
    chosen = np.concatenate([np.flatnonzero(train.labels == c)[:10] for c in range(len(train.class_names))])
    run.save_gallery("train", train.images[chosen], train.labels[chosen])
    held = train if parts.validation is None else parts.validation
    rows = np.random.default_rng(settings.seed).permutation(len(held))[: most_pictures(held.images.shape[1:])]
    run.save_gallery("sample", held.images[np.sort(rows)], held.labels[np.sort(rows)])
    run.append("events.jsonl", {"event": "started"})


def end(
    run: Run,
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    best: callbacks.Best,
    progress: callbacks.Progress,
    budget: Budget | None,
) -> None:
    """Writes what the training took; the file tells that the run has finished."""
    run.write(
        "summary.json",
        {
            "seconds": round(progress.seconds, 1),
            "images_per_second": round(progress.images_per_second, 1),
            "parameters": model.count_params(),
            "flops": models.flops(model),
            "epochs": len(progress.history) if budget is None else round(progress.epochs, 3),
            "best_epoch": best.epoch,
            "monitor": settings.monitor if parts.validation is not None else "last",
            "peak_memory_bytes": machine.peak_memory(),
            **({} if budget is None else {"time": budget.seconds, "time_used": round(budget.elapsed, 1)}),
        },
    )
    run.append("events.jsonl", {"event": "finished", "seconds": round(progress.seconds, 1)})
