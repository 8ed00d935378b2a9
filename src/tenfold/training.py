"""From settings to a run folder, through Keras' `Model.fit`.

One call reads the data, cuts the validation split, builds the model in the form that trains fastest, fits
it, keeps the best epoch in the portable form, and evaluates that on the validation split.
"""

import contextlib
import dataclasses
import platform
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tenfold import callbacks, config, evaluation, layers, machine, models, preparation, splits
from tenfold.batches import Batches, Epochs, one_hot_labels
from tenfold.callbacks import Download, Listener
from tenfold.checkpoint import Checkpoint
from tenfold.config import Config
from tenfold.errors import Stopped, UsageError
from tenfold.runs import Run, create, discard, open_run


def train(
    settings: Config,
    *,
    runs: Path = Path("runs"),
    name: str | None = None,
    exist_ok: bool = False,
    command: str = "",
    listen: Listener = lambda moment: None,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Trains a model and leaves a run folder.

    Args:
        settings: all settings; see `tenfold.recipes.recipe` for good ones.
        runs: folder that holds the run folders.
        name: of the run; the recipe's name by default, with a number where that is taken.
        exist_ok: overwrite the run of that name.
        command: the command line, for the record.
        listen: receives `Moment`s, `Download`s and plain sentences while the run goes on.
        extra_callbacks: Keras callbacks to run as well.

    Returns:
        The run, with its model, history and validation scores.

    Raises:
        DataError: data that cannot be used. UsageError: settings that contradict each other.
        GateError: the loss diverged. Stopped: interrupted; the best epoch so far is kept.

    Example:
        >>> run = tenfold.train(tenfold.recipe("tiny"))           # doctest: +SKIP
        >>> run.scores("validation")["accuracy"]                  # doctest: +SKIP
        0.61
    """
    settings, reason = preparation.resolve(settings)
    preparation.set_up(settings)
    parts = splits.read(settings, lambda done, total: listen(Download(done, total)))
    settings = dataclasses.replace(settings, image_size=parts.train.images.shape[1])
    model = preparation.build(settings, parts.train)
    run = create(runs, name or settings.recipe, exist_ok=exist_ok)
    listen(f"Run folder: {run.path}")
    listen(f"Precision: {settings.precision} ({reason})")
    for note in parts.notes:
        listen(note)
    if parts.validation is None:
        listen(
            "No validation split: early stopping and the choice of the best epoch are off; "
            "the last epoch is kept."
        )
    try:
        _record(run, settings, parts, reason, command)
    except BaseException:
        discard(run)
        raise
    return _continue(run, model, settings, parts, listen, extra_callbacks)


def resume(
    run: Run | str | Path,
    *,
    listen: Listener = lambda moment: None,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Takes a run that was stopped or killed to the end that it would have had.

    The run goes on after its last whole epoch. On the same machine, with the same number of threads, the
    kept model is the same bit for bit as if nothing had happened.

    Args:
        run: the run, or the path of its folder.
        listen: as in `train`.
        extra_callbacks: as in `train`.

    Raises:
        UsageError: the run has finished, or stopped before an epoch had ended.
        DataError: the data have changed since.
    """
    run = run if isinstance(run, Run) else open_run(run)
    if (run.path / "summary.json").exists():
        raise UsageError(f"{run.path} has finished. To train longer, start anew with more --epochs.")
    settings, _ = preparation.resolve(run.config)
    preparation.set_up(settings)
    parts = splits.read_again(run)
    model = preparation.build(settings, parts.train)
    listen(f"Run folder: {run.path}")
    run.append("events.jsonl", {"event": "resumed"})
    return _continue(run, model, settings, parts, listen, extra_callbacks, resumed=True)


def _continue(
    run: Run,
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    listen: Listener,
    extra_callbacks: Sequence[keras.callbacks.Callback],
    *,
    resumed: bool = False,
) -> Run:
    """Trains from where the run stands to its end."""
    best, progress = _callbacks(run, settings, parts, listen)
    checkpoint = Checkpoint(run, {"best": best, "progress": progress})
    first = checkpoint.restore(model, settings.epochs) if resumed else 0
    try:
        with _terminable():
            _fit(model, settings, parts, [best, progress, checkpoint, *extra_callbacks], first)
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 143 if isinstance(stop, SystemExit) else 130
        raise _stopped(run, best, code) from None
    except BaseException:
        if best.weights is None:
            discard(run)
        raise
    model.set_weights(best.weights)
    _finish(run, model, settings, parts, best, progress)
    return run


def _callbacks(
    run: Run, settings: Config, parts: splits.Parts, listen: Listener
) -> tuple[callbacks.Best, callbacks.Progress]:
    def keep(model: keras.Model) -> None:
        whole = models.twin(
            model, settings.model, data_format="channels_last", options=settings.model_options
        )
        with run.replacing("model.keras") as path:
            whole.save(path)

    best = callbacks.Best(settings.monitor, keep, settings.patience)
    return best, callbacks.Progress(run, len(parts.train), settings.batch_size, best, listen)


def _fit(
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    watchers: Sequence[keras.callbacks.Callback],
    first: int,
) -> None:
    one_hot = settings.label_smoothing > 0
    batches = Batches(parts.train, settings, one_hot=one_hot)
    held, held_data = parts.validation, None
    if held is not None:
        held_data = (held.images, one_hot_labels(held) if one_hot else held.labels)
    model.fit(
        batches,
        initial_epoch=first,
        epochs=settings.epochs,
        shuffle=False,  # the batches do it, from their own seed
        validation_data=held_data,
        validation_batch_size=max(settings.batch_size, 500),
        callbacks=[Epochs(batches), callbacks.Diverged(), *watchers],
        verbose=0,
    )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turns SIGTERM into SystemExit, where signals can be set: in the main thread."""

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(143)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stopped(run: Run, best: callbacks.Best, code: int) -> Stopped:
    if best.weights is None:
        discard(run)
        return Stopped("Stopped before the first epoch had ended; nothing was kept.", code)
    run.append("events.jsonl", {"event": "stopped", "best_epoch": best.epoch})
    return Stopped(
        f"Stopped. The model of epoch {best.epoch} is kept in {run.model_path}. "
        f"Go on with: tenfold resume {run.path}",
        code,
    )


def _record(run: Run, settings: Config, parts: splits.Parts, reason: str, command: str) -> None:
    """Writes all that is known before the first step."""
    train = parts.train
    run.write("config.yaml", config.to_yaml(settings))
    run.write("command.txt", (command or "tenfold.train(...)") + "\n")
    run.write(
        "environment.json",
        {
            **machine.versions(),
            "backend": settings.backend,
            "precision": settings.precision,
            "precision_reason": reason,
            "threads": _threads(settings),
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
    run.append("events.jsonl", {"event": "started"})


def _threads(settings: Config) -> int:
    if settings.backend != "torch":
        return machine.cores()
    import torch

    return torch.get_num_threads()


def _finish(
    run: Run,
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    best: callbacks.Best,
    progress: callbacks.Progress,
) -> None:
    """Evaluates the kept model in float32 on the validation split and writes the summary."""
    if parts.validation is not None:
        exact = models.twin(
            model, settings.model, data_format=layers.training_format(), options=settings.model_options
        )
        found = evaluation.evaluate(models.predict_fn(exact), parts.validation, split="validation")
        run.save_evaluation("validation", found.to_dict(), found.predictions(), parts.validation.images)
    run.write(
        "summary.json",
        {
            "seconds": round(progress.seconds, 1),
            "images_per_second": round(progress.images_per_second, 1),
            "parameters": model.count_params(),
            "flops": models.flops(model),
            "epochs": len(progress.history),
            "best_epoch": best.epoch,
            "monitor": settings.monitor if parts.validation is not None else "last",
            "peak_memory_bytes": machine.peak_memory(),
        },
    )
    run.append("events.jsonl", {"event": "finished", "seconds": round(progress.seconds, 1)})
