"""How a classifier bears pictures that have gone bad: robustness(predict_fn, dataset) -> Robustness.

A score on clean pictures says little about pictures taken in fog, saved too small or held askew. The same
pictures are therefore scored again under each of `corruptions.CORRUPTIONS` at each strength, and moved,
turned and scaled by growing amounts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from tenfold.answers import checked
from tenfold.corruptions import CANONICAL, CORRUPTIONS, GROUPS, SEVERITIES, corrupt, geometry
from tenfold.datasets.dataset import Dataset
from tenfold.errors import UsageError, unknown
from tenfold.evaluation import INTERVAL_LEVEL, evaluate, wilson
from tenfold.views import PredictFn

Progress = Callable[[int, int], None]
"""Called with how many sets of changed pictures have been scored, and how many there are in all."""

SHIFTS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Pixels of 32; other pictures are moved by the same share of their side."""
ANGLES = (-45.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0, 45.0)
"""Degrees, counter-clockwise."""
FACTORS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6)
"""Of the picture's size; below 1 it shrinks."""

_CHUNK_BYTES = 2**25  # of pixels changed at a time: 10,922 pictures of 32 x 32, 170 of 256 x 256
_DRAW, _MOVE = 0xD4A3, 0x30FE  # what else the seed draws: the pictures of a limit, and where each one moves
_CLEAN = ("clean", 0.0)

_Key = tuple[str, float]
_Change = Callable[[np.ndarray, int], np.ndarray]  # of pictures, the first of which has this row


@dataclass(frozen=True)
class Score:
    """What is right of one set of pictures.

    Attributes:
        accuracy: share of pictures whose predicted class is the true one, in [0, 1].
        interval: Wilson's 95 % interval of the accuracy.
    """

    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """Accuracy against the amount of a geometric change.

    Attributes:
        unit: of the amounts, in words.
        at: the amounts, ascending; one of them leaves the pictures as they are.
        scores: one for each amount.
    """

    unit: str
    at: tuple[float, ...]
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Robustness:
    """What is left of a classifier's accuracy on changed pictures.

    Attributes:
        pictures: how many were scored, the same ones each time.
        seed: drew what is random.
        severities: the strengths, 1 to 5.
        clean: the score on the pictures as they are.
        corruptions: for each corruption, one score for each strength.
        curves: by "shift", "rotation" and "scale"; empty where they were not asked for.
    """

    pictures: int
    seed: int
    severities: tuple[int, ...]
    clean: Score
    corruptions: Mapping[str, tuple[Score, ...]]
    curves: Mapping[str, Curve]

    @property
    def means(self) -> dict[str, float]:
        """The accuracy under each corruption, over all strengths."""
        return {name: fmean(s.accuracy for s in scores) for name, scores in self.corruptions.items()}

    @property
    def mean(self) -> float:
        """The accuracy over all corruptions and strengths."""
        return fmean(self.means.values())

    @property
    def canonical_mean(self) -> float | None:
        """The accuracy over the 15 corruptions and five strengths of the literature.

        It is what papers call the accuracy on CIFAR-10-C, but for other pictures; None unless all of those
        were asked for.
        """
        if not set(CANONICAL) <= set(self.corruptions) or set(self.severities) != set(SEVERITIES):
            return None
        return fmean(self.means[name] for name in CANONICAL)

    @property
    def relative_drop(self) -> float:
        """The share of the clean accuracy that corruptions take away; 0 where there is none to lose."""
        return 1 - self.mean / self.clean.accuracy if self.clean.accuracy else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it as `robustness.json` of a run folder holds it."""
        groups = {function.__name__: group for group, members in GROUPS.items() for function in members}
        return {
            "pictures": self.pictures,
            "seed": self.seed,
            "interval_level": INTERVAL_LEVEL,
            "accuracy": self.clean.accuracy,
            "accuracy_interval": list(self.clean.interval),
            "mean": self.mean,
            "canonical_mean": self.canonical_mean,
            "relative_drop": self.relative_drop,
            "severities": list(self.severities),
            "corruptions": {
                name: {
                    "group": groups[name],
                    "canonical": name in CANONICAL,
                    "mean": self.means[name],
                    **_listed(scores),
                }
                for name, scores in self.corruptions.items()
            },
            "curves": {
                name: {"unit": curve.unit, "at": list(curve.at), **_listed(curve.scores)}
                for name, curve in self.curves.items()
            },
        }

    def __str__(self) -> str:
        return sentence(self.to_dict())


def robustness(
    predict_fn: PredictFn,
    dataset: Dataset,
    *,
    corruptions: Iterable[str] | None = None,
    severities: Iterable[int] = SEVERITIES,
    curves: bool = True,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Robustness:
    """Scores `predict_fn` on pictures gone bad in every way.

    The same arguments give the same pictures for every model, so two models can be set side by side.

    Args:
        predict_fn: called with uint8 (m, height, width, 3), a few thousand pictures at a time; returns
            probabilities (m, classes), the classes in the order of `dataset.class_names`.
        dataset: the pictures with their true labels; sides of 8 pixels or more.
        corruptions: keys of `corruptions.CORRUPTIONS`, at least one; None for all.
        severities: strengths, 1 to 5, at least one.
        curves: also score shifts (each picture in one of four directions), rotations and scales.
        seed: 0 or more; draws all that is random.
        limit: score only so many pictures, drawn at random, 1 or more; None for all.
        progress: told after each set of pictures.

    Raises:
        UsageError: there is no such corruption or strength, `limit` or `seed` is out of range, or
            `predict_fn` returns something else than probabilities of these classes.
        DataError: there are no pictures, they are too small, or a label lies outside the classes.

    Example:
        found = robustness(predictor.predict, splits.open_split(run, "validation"), limit=1000)
        found.means["fog"]
    """
    names, strengths = _names(corruptions), _strengths(severities)
    if seed < 0 or (limit is not None and limit < 1):
        raise UsageError(f"Expected: seed 0 or more, limit 1 or more. Received: seed={seed}, limit={limit}")
    data = _drawn(dataset, limit, seed)
    clean = evaluate(predict_fn, data, top_k=())  # also says what is wrong with the labels
    plan: dict[_Key, _Change] = {}
    for name in names:
        for strength in strengths:
            plan[name, strength] = partial(_corrupted, name, strength, seed)
    amounts = _amounts(min(data.images.shape[1:3])) if curves else {}
    for name, (_, at) in amounts.items():
        for amount in at:
            if not _neutral(name, amount):
                plan[name, amount] = partial(_moved, name, amount, _directions(len(data), seed))
    scores = {_CLEAN: Score(clean.accuracy, clean.accuracy_interval)}
    tell = progress or (lambda done, total: None)
    tell(1, len(plan) + 1)
    for done, (key, change) in enumerate(plan.items(), 2):
        scores[key] = _score(predict_fn, data, change)
        tell(done, len(plan) + 1)
    return Robustness(
        pictures=len(data),
        seed=seed,
        severities=strengths,
        clean=scores[_CLEAN],
        corruptions={name: tuple(scores[name, strength] for strength in strengths) for name in names},
        curves={
            name: Curve(
                unit, at, tuple(scores[_CLEAN if _neutral(name, amount) else (name, amount)] for amount in at)
            )
            for name, (unit, at) in amounts.items()
        },
    )


def sentence(found: Mapping[str, Any]) -> str:
    """The headline in words, from what `to_dict` gives and `robustness.json` holds.

    Example:
        >>> sentence({"accuracy": 0.9281, "mean": 0.7346, "relative_drop": 0.2085, "severities": [1, 5],
        ...           "corruptions": {"fog": {"mean": 0.81}, "glass_blur": {"mean": 0.52}}})
        '92.8 % right on clean pictures, 73.5 % in the mean over 2 corruptions at 2 strengths, 20.8 % less; \
worst: glass_blur, 52.0 %'
    """
    worst = min(found["corruptions"], key=lambda name: found["corruptions"][name]["mean"])
    kinds, strengths = len(found["corruptions"]), len(found["severities"])
    return (
        f"{found['accuracy']:.1%} right on clean pictures, {found['mean']:.1%} in the mean over "
        f"{kinds} corruption{'s'[: kinds - 1]} at {strengths} strength{'s'[: strengths - 1]}, "
        f"{found['relative_drop']:.1%} less; worst: {worst}, {found['corruptions'][worst]['mean']:.1%}"
    ).replace("%", " %")


def _names(wanted: Iterable[str] | None) -> tuple[str, ...]:
    names = tuple(CORRUPTIONS) if wanted is None else tuple(dict.fromkeys(wanted))
    for name in names:
        if name not in CORRUPTIONS:
            raise UsageError(unknown("corruption", name, CORRUPTIONS))
    if not names:
        raise UsageError("Expected at least one corruption, or None for all. Received: corruptions=()")
    return names


def _strengths(wanted: Iterable[int]) -> tuple[int, ...]:
    strengths = tuple(sorted(set(wanted)))
    if not strengths or not set(strengths) <= set(SEVERITIES):
        raise UsageError(f"Severities are one or more of 1 to 5. Received: severities={strengths}")
    return strengths


def _drawn(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    if limit is None or limit >= len(dataset):
        return dataset
    chosen = np.random.default_rng([seed, _DRAW]).choice(len(dataset), limit, replace=False)
    return dataset.subset(np.sort(chosen))


def _score(predict_fn: PredictFn, data: Dataset, change: _Change) -> Score:
    right, n = 0, len(data)
    step = max(1, _CHUNK_BYTES // int(np.prod(data.images.shape[1:])))
    for first in range(0, n, step):
        images = change(data.images[first : first + step], first)
        probabilities = checked(predict_fn(images), len(images), len(data.class_names))
        right += int((probabilities.argmax(axis=1) == data.labels[first : first + step]).sum())
    return Score(right / n, wilson(right, n, INTERVAL_LEVEL))


def _corrupted(name: str, strength: int, seed: int, images: np.ndarray, first: int) -> np.ndarray:
    return corrupt(images, name, strength, seed=seed, first=first)


def _amounts(side: int) -> dict[str, tuple[str, tuple[float, ...]]]:
    """The unit and the amounts of each curve, for pictures with this shorter side."""
    return {
        "shift": (f"pixels of {side}", tuple(pixels * side / 32 for pixels in SHIFTS)),
        "rotation": ("degrees counter-clockwise", ANGLES),
        "scale": ("times the size", FACTORS),
    }


def _neutral(name: str, amount: float) -> bool:
    return amount == (1 if name == "scale" else 0)


def _directions(n: int, seed: int) -> np.ndarray:
    """Where each picture is shifted to: int (n,), 0 to 3."""
    return np.random.default_rng([seed, _MOVE]).integers(0, 4, n)


def _moved(name: str, amount: float, directions: np.ndarray, images: np.ndarray, first: int) -> np.ndarray:
    if name == "rotation":
        return geometry.rotate(images, amount)
    if name == "scale":
        return geometry.scale(images, amount)
    moved = np.empty_like(images)
    own = directions[first : first + len(images)]
    for direction, (down, right) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
        chosen = own == direction
        moved[chosen] = geometry.shift(images[chosen], down * amount, right * amount)
    return moved


def _listed(scores: Iterable[Score]) -> dict[str, list[Any]]:
    pairs = [(score.accuracy, list(score.interval)) for score in scores]
    return {"accuracy": [each for each, _ in pairs], "accuracy_interval": [interval for _, interval in pairs]}
