"""Scores of a classifier on one split: evaluate(predict_fn, dataset) -> Evaluation.

Any function from pictures to probabilities can be scored, so the same numbers come from Keras, from an
exported file and from a server. Every accuracy comes with its interval: on 500 pictures, two models whose
scores lie three points apart may well be equally good.
"""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tenfold.abstention import Coverage, coverage
from tenfold.answers import ask, checked
from tenfold.datasets.dataset import Dataset
from tenfold.errors import DataError, UsageError
from tenfold.reliability import Quality, quality
from tenfold.views import PredictFn, mean, view_set

INTERVAL_LEVEL = 0.95

_SMALLEST = 1e-7  # probabilities are clipped here before the logarithm, as Keras clips them


@dataclass(frozen=True)
class Evaluation:
    """What a classifier got right and wrong on one split; n is the number of pictures, c of classes.

    All numbers but those in `views` are those of the plain pictures.

    Attributes:
        split: "train", "validation" or "test".
        class_names: the c classes in the order of the labels.
        ids: n names of pictures.
        labels: int64 (n,), the true classes.
        probabilities: float32 (n, c).
        predicted: int64 (n,), the class with the highest probability; the first where several tie.
        losses: float64 (n,), the cross-entropy of each picture in nats, clipped at 16.1.
        loss: mean of `losses`.
        accuracy: share of pictures whose predicted class is the true one, in [0, 1].
        accuracy_interval: Wilson's 95 % interval of the accuracy.
        top_k: for each k, the share of pictures whose true class is among the k most probable.
        report: scikit-learn's `classification_report` as a dict: precision, recall, F1 and support of
            each class, accuracy, macro and weighted averages.
        text: the same as text.
        confusion: int64 (c, c), pictures of true class (row) that got a predicted class (column).
        quality: how good the probabilities are as probabilities: calibration error, Brier score.
        coverage: how many answers are wrong among the surest ones.
        views: where several views were asked for: their name and count, and the loss, accuracy and
            accuracy_interval of the mean over them.
        answered: where answers below a confidence are withheld: that confidence, the max_error it was
            chosen for, and the error and coverage that it gives on these pictures.
    """

    split: str
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    losses: np.ndarray
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    top_k: Mapping[int, float]
    report: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)
    confusion: np.ndarray = field(repr=False)
    quality: Quality = field(repr=False)
    coverage: Coverage = field(repr=False)
    views: Mapping[str, Any] | None = None
    answered: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The scores as `<split>.json` of a run folder holds them; `views` only where there are several."""
        return {
            "split": self.split,
            "pictures": len(self.labels),
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "interval_level": INTERVAL_LEVEL,
            "top_k": {str(k): share for k, share in self.top_k.items()},
            "report": dict(self.report),
            "confusion": self.confusion.tolist(),
            "calibration": self.quality.to_dict(),
            "coverage": self.coverage.to_dict(),
            "class_names": list(self.class_names),
            **({"views": dict(self.views)} if self.views else {}),
            **({"answered": dict(self.answered)} if self.answered else {}),
        }

    def predictions(self) -> dict[str, Any]:
        """The answers to the plain pictures, one by one, as `Run.save_evaluation` keeps them."""
        return {
            "ids": list(self.ids),
            "labels": self.labels,
            "predicted": self.predicted,
            "probabilities": self.probabilities,
        }

    def __str__(self) -> str:
        return sentence(self.to_dict())


def evaluate(
    predict_fn: PredictFn,
    dataset: Dataset,
    *,
    split: str = "validation",
    top_k: Iterable[int] = (1, 3, 5),
    views: str = "none",
) -> Evaluation:
    """Scores `predict_fn` on the pictures of `dataset`.

    With `views`, the same pass gives two results: the plain pictures are the first of the views.

    Args:
        predict_fn: called with uint8 (m, height, width, 3), a few thousand pictures at a time; returns
            probabilities (m, classes), the classes in the order of `dataset.class_names`.
        dataset: the pictures with their true labels; a class may be missing among them.
        split: what the pictures are, for the record.
        top_k: each 1 or more; those above the number of classes are left out.
        views: also score the mean over these views of each picture: a key of `views.VIEWS`.

    Raises:
        UsageError: `predict_fn` returns something else than probabilities of these classes, or there are
            no such views.
        DataError: there are no pictures, or a label lies outside the classes.

    Example:
        >>> import numpy as np
        >>> from tenfold.datasets.dataset import Dataset
        >>> pictures = np.zeros((4, 8, 8, 3), np.uint8)
        >>> data = Dataset(pictures, np.array([0, 0, 0, 1]), ("cat", "dog"), ("a", "b", "c", "d"))
        >>> evaluate(lambda images: np.tile([0.9, 0.1], (len(images), 1)), data).accuracy
        0.75
    """
    _check_labels(dataset)
    answers = ask(predict_fn, dataset.images, len(dataset.class_names), view_set(views))
    found = score(answers[0], dataset, split=split, top_k=top_k)
    if len(answers) == 1:
        return found
    return dataclasses.replace(found, views=_averaged(views, answers, found.labels))


def score(
    probabilities: np.ndarray,
    dataset: Dataset,
    *,
    split: str = "validation",
    top_k: Iterable[int] = (1, 3, 5),
) -> Evaluation:
    """Scores answers that are there already.

    Args:
        probabilities: (n, classes), the answers to the pictures of `dataset`, in their order.
        dataset, split, top_k: as for `evaluate`.

    Raises:
        UsageError: they are no probabilities of these classes.
        DataError: as `evaluate`.
    """
    from sklearn.metrics import classification_report, confusion_matrix

    labels = _check_labels(dataset)
    probabilities = checked(probabilities, len(labels), len(dataset.class_names))
    predicted = probabilities.argmax(axis=1)
    losses = _losses(probabilities, labels)
    accuracy, interval = _accuracy(probabilities, labels)
    classes = range(len(dataset.class_names))
    options = {"labels": classes, "target_names": dataset.class_names, "zero_division": 0}
    return Evaluation(
        split=split,
        class_names=tuple(dataset.class_names),
        ids=tuple(dataset.ids),
        labels=labels,
        probabilities=probabilities,
        predicted=predicted,
        losses=losses,
        loss=float(losses.mean()),
        accuracy=accuracy,
        accuracy_interval=interval,
        top_k=_top_k(probabilities, labels, top_k),
        report=classification_report(labels, predicted, output_dict=True, **options),
        text=classification_report(labels, predicted, digits=3, **options),
        confusion=confusion_matrix(labels, predicted, labels=list(classes)),
        quality=quality(probabilities, labels),
        coverage=coverage(probabilities, labels),
    )


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion; unlike the usual +- it holds near 0 and 1 and for few pictures.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209-212.

    Args:
        successes: right answers, 0 to n.
        n: all answers, 1 or more.
        level: confidence, between 0 and 1.

    Returns:
        Lower and upper bound, in [0, 1].

    Raises:
        UsageError: a count or the level is out of range.

    Example:
        >>> [round(bound, 4) for bound in wilson(81, 263)]
        [0.2553, 0.3662]
    """
    if n < 1 or not 0 <= successes <= n:
        raise UsageError(f"Expected 0 <= successes <= n and n >= 1. Received: successes={successes}, n={n}")
    if not 0 < level < 1:
        raise UsageError(f"level must lie between 0 and 1, for example 0.95. Received: level={level}")
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = share + z**2 / (2 * n)
    half = z * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    # The bounds meet 0 and 1 exactly where all answers agree; rounding would leave 1e-17 instead.
    low = 0.0 if successes == 0 else (centre - half) / (1 + z**2 / n)
    high = 1.0 if successes == n else (centre + half) / (1 + z**2 / n)
    return low, high


def sentence(scores: Mapping[str, Any]) -> str:
    """The headline of an evaluation in words, from what `to_dict` gives and `<split>.json` holds.

    Example:
        >>> sentence({"split": "test", "pictures": 10000, "accuracy": 0.924,
        ...           "accuracy_interval": [0.919, 0.929], "interval_level": 0.95})
        '92.4 % of 10,000 test pictures right (95 % interval 91.9 to 92.9 %)'
    """
    low, high = scores["accuracy_interval"]
    text = (
        f"{scores['accuracy']:.1%} of {scores['pictures']:,} {scores['split']} pictures right "
        f"({scores['interval_level']:.0%} interval {100 * low:.1f} to {high:.1%})"
    )
    if averaged := scores.get("views"):
        low, high = averaged["accuracy_interval"]
        text += (
            f"; by the mean of {averaged['count']} views of each, {averaged['accuracy']:.1%} "
            f"({100 * low:.1f} to {high:.1%})"
        )
    return text.replace("%", " %")


def _averaged(name: str, answers: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    probabilities = mean(answers, view_set(name))
    accuracy, interval = _accuracy(probabilities, labels)
    loss = float(_losses(probabilities, labels).mean())
    return {
        "name": name,
        "count": len(answers),
        "loss": loss,
        "accuracy": accuracy,
        "accuracy_interval": list(interval),
    }


def _losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(own, _SMALLEST, 1.0))


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, tuple[float, float]]:
    hits = int((probabilities.argmax(axis=1) == labels).sum())
    return hits / len(labels), wilson(hits, len(labels), INTERVAL_LEVEL)


def _check_labels(dataset: Dataset) -> np.ndarray:
    """The labels as int64; DataError where there are none, or some lie outside the classes."""
    labels, class_names = np.asarray(dataset.labels, np.int64), dataset.class_names
    if not len(labels):
        raise DataError("There are no pictures to evaluate; --val-split 0 leaves none for validation.")
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(
            f"Labels must be 0 to {len(class_names) - 1}, one for each of the {len(class_names)} classes. "
            f"Received: {labels.min()} to {labels.max()}"
        )
    return labels


def _top_k(probabilities: np.ndarray, labels: np.ndarray, ks: Iterable[int]) -> dict[int, float]:
    own = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    # Ties go to the class that comes first, as in argmax, so that top-1 is the accuracy.
    rank = ((probabilities > own) | ((probabilities == own) & before)).sum(axis=1)
    shares = {}
    for k in ks:
        if k < 1:
            raise UsageError(f"top_k must be 1 or more. Received: top_k={k}")
        if k <= probabilities.shape[1]:
            shares[int(k)] = float((rank < k).mean())
    return shares
