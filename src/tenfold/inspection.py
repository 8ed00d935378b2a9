"""A closer look at a run than its scores: what it bears, what it looked at, and what it has to beat.

Each part takes minutes or parts of them, so none happens unasked. All are left in the run folder, where the
report finds them.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tenfold import baselines, models, splits, training
from tenfold.answers import ask
from tenfold.baselines import Baseline
from tenfold.datasets import Dataset
from tenfold.errors import UsageError, unknown
from tenfold.evaluation import Evaluation, wilson
from tenfold.explanation import heat_maps
from tenfold.recipes import recipe
from tenfold.robustness import robustness
from tenfold.runs import Run
from tenfold.views import PredictFn

Part = Literal["robustness", "baselines", "heat-maps"]

MOST_MAPS = 48
"""Heat maps of mistakes, the most confident ones."""

_SECONDS = 30.0  # of training for the small network

Progress = Callable[[int, int], None]


def inspect(
    run: Run,
    predict_fn: PredictFn,
    evaluation: Evaluation,
    dataset: Dataset,
    parts: Iterable[Part],
    *,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Looks closer at pictures that have just been evaluated.

    Leaves `robustness.json`, `baselines.json` and `gallery/heat-<split>.npz`.

    Args:
        run: the run.
        predict_fn: what answered.
        evaluation: its scores on these pictures.
        dataset: the pictures.
        parts: which looks to take.
        progress: told how far the longest of them, robustness, has come.

    Returns:
        For each part, what was found, in a sentence.

    Raises:
        UsageError: no such part. DataError: the run's training pictures are gone, which baselines learn from.
    """
    told: dict[str, str] = {}
    for part in parts:
        if part == "robustness":
            found = robustness(predict_fn, dataset, progress=progress)
            run.write("robustness.json", {"split": evaluation.split, **found.to_dict()})
            told[part] = str(found)
        elif part == "baselines":
            told[part] = _baselines(run, evaluation, dataset)
        elif part == "heat-maps":
            told[part] = _heat_maps(run, evaluation, dataset)
        else:
            raise UsageError(unknown("part", part, get_args(Part)))
    return told


def _baselines(run: Run, evaluation: Evaluation, dataset: Dataset) -> str:
    found = [*baselines.baselines(splits.open_split(run, "train"), dataset), *_small_network(run, dataset)]
    listed = [baseline.to_dict() for baseline in found]
    run.write("baselines.json", {"split": evaluation.split, "baselines": listed})
    return "; ".join(f"{baseline.name} {baseline.accuracy:.1%}" for baseline in found)


def _small_network(run: Run, dataset: Dataset) -> list[Baseline]:
    """The smallest classic, trained for half a minute on what the run was trained on."""
    config, start = run.config, time.perf_counter()
    settings = dataclasses.replace(
        recipe("tiny"),
        **{
            name: getattr(config, name)
            for name in ("data", "image_size", "fit", "val_split", "fraction", "seed", "exclude")
        },
        time=_SECONDS,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = training.train(settings, runs=Path(folder), name="tiny")
        except UsageError:  # pictures that it is too large for
            return []
        predict = models.predict_fn(models.load(made.model_path))
        (answers,) = ask(predict, dataset.images, len(dataset.class_names))
    hits = int((answers.argmax(axis=1) == dataset.labels).sum())
    note = f"the recipe tiny, trained for {_SECONDS:.0f} seconds"
    seconds = time.perf_counter() - start
    return [Baseline("small network", hits / len(dataset), wilson(hits, len(dataset)), seconds, note)]


def _heat_maps(run: Run, evaluation: Evaluation, dataset: Dataset) -> str:
    wrong = np.flatnonzero(evaluation.predicted != evaluation.labels)
    surest = wrong[np.argsort(-evaluation.probabilities.max(axis=1)[wrong], kind="stable")][:MOST_MAPS]
    model = models.load(run.model_path)
    maps = heat_maps(model, dataset.images[surest], evaluation.predicted[surest])
    run.save_gallery(f"heat-{evaluation.split}", np.round(255 * maps).astype(np.uint8), surest)
    return f"what spoke for the wrong class in {len(surest)} mistakes"
