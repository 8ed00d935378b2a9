"""The parts of the page as plain values, worked out so that the template only has to place them."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold import evaluation
from tenfold.config import Config
from tenfold.reporting import heatmaps, plots
from tenfold.reporting.closer import Offer, offers, recall_intervals
from tenfold.reporting.pictures import spread, thumbnail
from tenfold.runs import Run

_FIRST_MISTAKES = 96  # that the page shows before anyone asks for a kind
_MOST_RIGHT = 60
_MOST_SAMPLES = 100
_MOST_PAIRS = 10


@dataclass(frozen=True)
class Answer:
    """One picture with what the model said.

    Attributes:
        image: uint8 (h, w, 3).
        id: its name.
        true, predicted: classes.
        confidence: in [0, 1].
        heat: uint8 (h, w), what spoke for the predicted class; None where that was not asked for.
        late: shown only when its kind of mistake is asked for.
    """

    image: np.ndarray
    id: str
    true: int
    predicted: int
    confidence: float
    heat: np.ndarray | None = None
    late: bool = False

    @property
    def picture(self) -> str:
        """The picture as a data URI."""
        return thumbnail(self.image)

    @property
    def heated(self) -> str:
        """The picture with its heat map, as a data URI."""
        return "" if self.heat is None else thumbnail(heatmaps.overlay(self.image, self.heat / 255))


@dataclass(frozen=True)
class Pair:
    """One kind of mistake: `count` of `all` pictures of a class; the page shows `shown` of them."""

    true: int
    predicted: int
    count: int
    all: int
    shown: int

    @property
    def share(self) -> float:
        return self.count / self.all


@dataclass(frozen=True)
class SplitView:
    """What the page shows about one evaluated split.

    Attributes:
        name: "test", "validation" or "train".
        names: the classes.
        scores: as `<split>.json` holds them.
        sentence: the headline.
        baseline: accuracy of always answering the commonest class.
        confusion: int (c, c), and `opacity`: how strongly to shade each cell.
        recall: interval of each class's recall.
        offers: what withholding unsure answers would give.
        pairs: every kind of mistake that happened, most frequent first.
        wrong, right: pictures kept of mistakes and of right answers.
    """

    name: str
    names: list[str]
    scores: Mapping[str, Any]
    sentence: str
    baseline: float
    confusion: np.ndarray
    opacity: np.ndarray
    recall: list[tuple[float, float]]
    offers: list[Offer]
    pairs: list[Pair]
    wrong: list[Answer]
    right: list[Answer]

    @property
    def first(self) -> int:
        """Mistakes that are shown before anyone asks for a kind."""
        return sum(not answer.late for answer in self.wrong)

    @property
    def commonest(self) -> list[Pair]:
        """The mistakes worth naming."""
        return self.pairs[:_MOST_PAIRS]

    def shown(self, true: int, predicted: int) -> int:
        """How many pictures of one kind of mistake are on the page."""
        return sum((pair.true, pair.predicted) == (true, predicted) for pair in self.wrong)

    @property
    def averages(self) -> dict[str, Mapping[str, float]]:
        """The averaged rows of scikit-learn's report."""
        rows = {key: self.scores["report"].get(key) for key in ("macro avg", "weighted avg")}
        return {key: row for key, row in rows.items() if row}


def split_view(run: Run, name: str, scores: Mapping[str, Any]) -> SplitView:
    """The view of a split, from its scores and the pictures that were kept of it."""
    matrix = np.asarray(scores["confusion"], np.int64)
    answers = _answers(run, name)
    wrong = [answer for answer in answers if answer.true != answer.predicted]
    wrong = [dataclasses.replace(answer, late=n >= _FIRST_MISTAKES) for n, answer in enumerate(wrong)]
    right = [answer for answer in answers if answer.true == answer.predicted]
    return SplitView(
        name=name,
        names=list(scores["class_names"]),
        scores=scores,
        sentence=evaluation.sentence(scores),
        baseline=float(matrix.sum(axis=1).max() / max(1, matrix.sum())),
        confusion=matrix,
        opacity=plots.opacity(matrix),
        recall=recall_intervals(matrix),
        offers=offers(scores["coverage"]) if "coverage" in scores else [],
        pairs=_pairs(matrix, Counter((answer.true, answer.predicted) for answer in wrong)),
        wrong=wrong,
        right=[right[i] for i in sorted(spread([answer.true for answer in right], _MOST_RIGHT))],
    )


def _answers(run: Run, split: str) -> list[Answer]:
    gallery = run.gallery(split)
    if gallery is None or not (run.path / "predictions.parquet").exists():
        return []
    known = run.predictions(split)
    kept = run.gallery(f"heat-{split}")
    heat = {} if kept is None else {int(row): one for one, row in zip(*kept, strict=True)}
    return [
        Answer(
            image=image,
            id=known["ids"][row],
            true=int(known["labels"][row]),
            predicted=int(known["predicted"][row]),
            confidence=float(known["probabilities"][row].max()),
            heat=heat.get(int(row)),
        )
        for image, row in zip(*gallery, strict=True)
    ]


def _pairs(matrix: np.ndarray, shown: Mapping[tuple[int, int], int]) -> list[Pair]:
    mistakes = matrix * ~np.eye(len(matrix), dtype=bool)
    pairs = []
    for true, predicted in zip(*np.nonzero(mistakes), strict=True):
        key, count = (int(true), int(predicted)), int(mistakes[true, predicted])
        pairs.append(Pair(*key, count, int(matrix[true].sum()), shown.get(key, 0)))
    return sorted(pairs, key=lambda pair: -pair.count)


def samples(run: Run, names: list[str]) -> list[tuple[str, list[np.ndarray]]]:
    """Training pictures by class, as many of each as the page has room for; empty where none were kept."""
    gallery = run.gallery("train")
    if gallery is None:
        return []
    images, labels = gallery
    chosen = sorted(spread(labels, _MOST_SAMPLES))
    by_class: dict[int, list[np.ndarray]] = {}
    for position in chosen:
        by_class.setdefault(int(labels[position]), []).append(images[position])
    titles = dict(enumerate(names))
    return [(titles.get(label, f"class {label}"), by_class[label]) for label in sorted(by_class)]


def settings(config: Config) -> list[tuple[str, str, str | None]]:
    """Every setting as name, value, and the default where the value differs from it."""
    return list(_settings(config, Config(), ""))


def _settings(values: Any, defaults: Any, prefix: str) -> Iterator[tuple[str, str, str | None]]:
    for field in dataclasses.fields(values):
        value, default = getattr(values, field.name), getattr(defaults, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value, default, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, _words(value), None if value == default else _words(default)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_words(inner)}" for key, inner in value.items()) or "none"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def table(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Any JSON mapping as rows of words, for parts of a run whose keys may grow."""
    return [
        (key.replace("_", " "), ", ".join(map(str, v)) if isinstance(v, list) else _words(v))
        for key, v in values.items()
        if v not in (None, "", [])
    ]


def duration(seconds: float) -> str:
    """Seconds in the two units that matter.

    Example:
        >>> duration(872.4), duration(8.24), duration(7322)
        ('14 min 32 s', '8.2 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"


def magnitude(number: float) -> str:
    """A large count with three digits and a unit prefix.

    Example:
        >>> magnitude(73098), magnitude(4.56e8)
        ('73.1 k', '456 M')
    """
    power = min(4, int(math.log10(max(number, 1)) // 3))
    return f"{number / 1000**power:.3g} {['', 'k', 'M', 'G', 'T'][power]}".strip()
