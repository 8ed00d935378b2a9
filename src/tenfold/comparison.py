"""Two or more runs on the same pictures: is one better, by how much, where, and at what cost?

Only what stands in the run folders is read, no pictures and no model. Runs that answered the same pictures
are compared picture by picture: what both get right or both get wrong says nothing about which is better, so
a paired test sees differences that lie far within the intervals of the two accuracies.

A comparison is of trained models, not of recipes: another seed of the same recipe is another model, and
`tenfold train --seeds` says how much that alone moves a score.
"""

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import DataError, UsageError, unknown
from tenfold.evaluation import INTERVAL_LEVEL, wilson
from tenfold.runs import Run, open_run
from tenfold.significance import CHANCE, bootstrap, holm, in_words, mcnemar

_SMALLEST = 1e-7  # probabilities are clipped here before the logarithm, as in evaluations
_CELLS = ("both_right", "only_first", "only_second", "both_wrong")


@dataclass(frozen=True)
class Side:
    """One run of a comparison: its quality on the common pictures, and what it costs.

    What a run folder does not tell, as where training was stopped, is None.

    Attributes:
        name: of the run; its path where two runs share a name.
        accuracy: in [0, 1], on the common pictures, with Wilson's 95 % `interval`.
        loss: mean cross-entropy in nats.
        parameters: weights; `flops`: floating-point operations of a forward pass for one picture.
        seconds: that training took, at `images_per_second`.
        file_bytes: size of model.keras.
    """

    name: str
    accuracy: float
    interval: tuple[float, float]
    loss: float
    parameters: int | None
    flops: int | None
    seconds: float | None
    images_per_second: float | None
    file_bytes: int | None


@dataclass(frozen=True)
class ClassDifference:
    """Two runs on the pictures of one class.

    Attributes:
        pictures: of the class; `first` and `second`: shares of them that the runs get right.
        only_first: pictures that only the first gets right; `only_second`, only the second.
        p_value: McNemar's mid-p, corrected after Holm for the number of classes.
        winner: name of the run that is right more often by more than chance, or None.
    """

    name: str
    pictures: int
    first: float
    second: float
    only_first: int
    only_second: int
    p_value: float
    winner: str | None


@dataclass(frozen=True)
class Difference:
    """A run against the first one, picture by picture.

    Attributes:
        first: name of the first run; `second`: of the other.
        both_right: pictures that both get right; likewise `only_first`, `only_second`, `both_wrong`.
        accuracy: of the second minus of the first, in [-1, 1], with its paired bootstrap `interval`, 95 %.
        loss: mean cross-entropy of the second minus of the first, in nats: below 0 the second is better;
            `loss_interval`, 95 %, from the deviation of the pictures' differences.
        p_value: McNemar's mid-p; `p_adjusted`, corrected after Holm for how many runs are compared.
        winner: name of the run that is right more often by more than chance, or None.
        classes: the same for each class that there are pictures of.
    """

    first: str
    second: str
    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    loss_interval: tuple[float, float]
    p_value: float
    p_adjusted: float
    winner: str | None
    classes: tuple[ClassDifference, ...]

    def __str__(self) -> str:
        low, high = (100 * bound for bound in self.interval)
        points = (
            f"{100 * self.accuracy:+.1f} points of accuracy (95 % interval {low:+.1f} to {high:+.1f}; "
            f"{in_words(self.p_adjusted)})"
        )
        if self.winner is None:
            return f"{self.second} and {self.first} cannot be told apart: {points}."
        more = "more" if self.winner == self.second else "less"
        return f"{self.second} is {more} often right than {self.first}, by more than chance: {points}."


@dataclass(frozen=True)
class Comparison:
    """What comparing runs found.

    Attributes:
        split: "train", "validation" or "test".
        pictures: how many all runs have in common; all numbers are of these.
        left_out: pictures that some run was scored on and another was not.
        class_names: in the first run's order.
        sides: the runs.
        differences: each run but the first, against the first.
    """

    split: str
    pictures: int
    left_out: int
    class_names: tuple[str, ...]
    sides: tuple[Side, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {**dataclasses.asdict(self), "interval_level": INTERVAL_LEVEL, "chance": CHANCE}


def compare(runs: Sequence[Run | str | Path], *, split: str = "validation", seed: int = 0) -> Comparison:
    """Compares each run with the first, on the pictures of a split that all were scored on.

    Pictures are matched by their id and classes by their name, whatever their order. Where the runs were
    scored on somewhat different pictures, those in common count, if they are most of every run's.

    Args:
        runs: two or more runs, or paths of their folders; the first is the one to beat.
        split: "train", "validation" or "test"; each run must have been evaluated on it before.
        seed: of the bootstrap.

    Raises:
        UsageError: fewer than two runs, one twice, no such split, or scored on different pictures.
        DataError: a run without scores on the split, or runs that know other classes or labels.

    Example:
        >>> print(compare(["runs/tiny", "runs/fast"]).differences[0])           # doctest: +SKIP
        fast is more often right than tiny, by more than chance: +31.3 points of accuracy ...
    """
    if split not in ("train", "validation", "test"):
        raise UsageError(unknown("split", split, ("train", "validation", "test")))
    opened = [run if isinstance(run, Run) else open_run(run) for run in runs]
    if len(opened) < 2 or len({run.path.resolve() for run in opened}) < len(opened):
        given = ", ".join(str(run.path) for run in opened)
        raise UsageError(f"Comparing takes two or more different runs. Received: runs={given or 'none'}")
    unique = len({run.name for run in opened}) == len(opened)
    kept = [_read(run, run.name if unique else str(run.path), split) for run in opened]
    common = _common(kept, split)
    first, *others = aligned = [each.at(common) for each in kept]
    for other in others:
        _check_labels(first, other)
    corrected = holm([mcnemar(*_cells(first, other)[1:3]) for other in others])
    return Comparison(
        split=split,
        pictures=len(common),
        left_out=len({key for each in kept for key in each.ids}) - len(common),
        class_names=first.class_names,
        sides=tuple(_side(run, found) for run, found in zip(opened, aligned, strict=True)),
        differences=tuple(
            _difference(first, other, p_adjusted, seed)
            for other, p_adjusted in zip(others, corrected, strict=True)
        ),
    )


@dataclass(frozen=True)
class _Answers:
    """What a run says about n pictures."""

    name: str
    class_names: tuple[str, ...]
    ids: Sequence[str]
    shown: np.ndarray  # str (n,): the true classes by name
    right: np.ndarray  # bool (n,)
    losses: np.ndarray  # float64 (n,)

    def at(self, ids: Sequence[str]) -> "_Answers":
        rows = {key: row for row, key in enumerate(self.ids)}
        index = np.array([rows[key] for key in ids])
        return dataclasses.replace(
            self, ids=ids, shown=self.shown[index], right=self.right[index], losses=self.losses[index]
        )


def _read(run: Run, name: str, split: str) -> _Answers:
    if run.scores(split) is None:
        raise DataError(
            f"{run.path} has no scores on {split} pictures, and comparing looks at none itself. "
            f"Run first: tenfold evaluate {run.path} --split {split}"
        )
    kept = run.predictions(split)
    ids, labels = kept["ids"], kept["labels"]
    if len(set(ids)) < len(ids):
        raise DataError(
            f"{run.path}: {split} pictures share ids, so they cannot be matched. Expected: one id a picture. "
            f"Received: {len(ids):,} pictures, {len(set(ids)):,} ids. Name them apart and train anew."
        )
    own = kept["probabilities"][np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.clip(own, _SMALLEST, 1.0))
    return _Answers(
        name, run.class_names, ids, np.array(run.class_names)[labels], kept["predicted"] == labels, losses
    )


def _common(kept: Sequence[_Answers], split: str) -> list[str]:
    """The ids that all runs have, in the first one's order, where they are most of each run's."""
    first = kept[0]
    for each in kept[1:]:
        if other := sorted(set(first.class_names) ^ set(each.class_names)):
            raise DataError(
                f"{first.name} and {each.name} know other classes, so their scores mean different things. "
                f"Received: not in both={', '.join(other[:8])}. Train both on the same classes."
            )
    shared = set(first.ids).intersection(*(each.ids for each in kept[1:]))
    most = max(kept, key=lambda each: len(each.ids))
    if 2 * len(shared) <= len(most.ids):
        raise UsageError(
            f"The runs were scored on different {split} pictures. Expected: most of them the same. Received: "
            f"{len(shared):,} in common of {len(most.ids):,} of {most.name}. Train both with the "
            "same data, --seed and --val-split, or evaluate both on the same test pictures (--split test)."
        )
    return [key for key in first.ids if key in shared]


def _check_labels(first: _Answers, second: _Answers) -> None:
    wrong = np.flatnonzero(first.shown != second.shown)
    if len(wrong):
        row = wrong[0]
        raise DataError(
            f"{first.name} and {second.name} disagree about what {len(wrong):,} of {len(first.ids):,} "
            f"pictures show. Expected: the same data. Received: {first.ids[row]}={first.shown[row]} and "
            f"{second.shown[row]}. Train both on the same data."
        )


def _cells(first: _Answers, second: _Answers, rows: np.ndarray | slice = slice(None)) -> tuple[int, ...]:
    """How many pictures lie in each of `_CELLS`."""
    a, b = first.right[rows], second.right[rows]
    return tuple(int(cell.sum()) for cell in (a & b, a & ~b, ~a & b, ~a & ~b))


def _side(run: Run, found: _Answers) -> Side:
    hits, n = int(found.right.sum()), len(found.right)
    summary = run.summary if (run.path / "summary.json").exists() else {}
    costs = {name: summary.get(name) for name in ("parameters", "flops", "seconds", "images_per_second")}
    return Side(
        name=found.name,
        accuracy=hits / n,
        interval=wilson(hits, n, INTERVAL_LEVEL),
        loss=float(found.losses.mean()),
        file_bytes=run.model_path.stat().st_size if run.model_path.exists() else None,
        **costs,
    )


def _difference(first: _Answers, second: _Answers, p_adjusted: float, seed: int) -> Difference:
    cells = _cells(first, second)
    _, only_first, only_second, _ = cells
    n, losses = len(first.ids), second.losses - first.losses
    z = statistics.NormalDist().inv_cdf((1 + INTERVAL_LEVEL) / 2)
    mean, half = float(losses.mean()), z * float(losses.std()) / n**0.5
    return Difference(
        first=first.name,
        second=second.name,
        **dict(zip(_CELLS, cells, strict=True)),
        accuracy=(only_second - only_first) / n,
        interval=bootstrap(only_first, only_second, n, level=INTERVAL_LEVEL, seed=seed),
        loss=mean,
        loss_interval=(mean - half, mean + half),
        p_value=mcnemar(only_first, only_second),
        p_adjusted=p_adjusted,
        winner=_winner(first, second, only_second - only_first, p_adjusted),
        classes=_by_class(first, second),
    )


def _by_class(first: _Answers, second: _Answers) -> tuple[ClassDifference, ...]:
    there = set(first.shown.tolist())
    names = [name for name in first.class_names if name in there]
    cells = [_cells(first, second, first.shown == name) for name in names]
    corrected = holm([mcnemar(*counts[1:3]) for counts in cells])
    return tuple(
        ClassDifference(
            name=name,
            pictures=sum(counts),
            first=(counts[0] + counts[1]) / sum(counts),
            second=(counts[0] + counts[2]) / sum(counts),
            only_first=counts[1],
            only_second=counts[2],
            p_value=p_value,
            winner=_winner(first, second, counts[2] - counts[1], p_value),
        )
        for name, counts, p_value in zip(names, cells, corrected, strict=True)
    )


def _winner(first: _Answers, second: _Answers, lead: int, p_value: float) -> str | None:
    return None if p_value >= CHANCE else second.name if lead > 0 else first.name
