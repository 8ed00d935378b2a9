"""When to say "not sure": the answers a model keeps to itself, so that those it gives are right often enough.

A threshold on the confidence is chosen on validation pictures for the error that is wanted among the answers
given. A second one, on a score that does not depend on which class it is, finds pictures of a kind that the
model was never shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.errors import GateError, UsageError

NOT_SURE = "not sure"
"""What is answered in place of a class."""

STRANGE = 0.05
"""Share of the validation pictures that may count as unlike those of their set."""

_POINTS = 101  # of a curve that is kept


@dataclass(frozen=True)
class Threshold:
    """The least confidence at which an answer is given, and what that did to the pictures it was chosen on.

    Attributes:
        confidence: answers with less are withheld; 0 withholds none.
        max_error: the wanted share of wrong answers among those given, 0 to 1.
        error: the share that was wrong among those given.
        coverage: share of the pictures that got an answer.
        pictures: how many there were.
    """

    confidence: float
    max_error: float
    error: float
    coverage: float
    pictures: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Coverage:
    """How many answers are wrong among the surest ones, from all pictures down to a few.

    Attributes:
        coverage: shares of the pictures, rising to 1.
        error: share of wrong answers among that many of the surest.
        confidence: of the least sure among them.
    """

    coverage: tuple[float, ...]
    error: tuple[float, ...]
    confidence: tuple[float, ...]

    @property
    def area(self) -> float:
        """Mean error over the coverages; lower is better, and 0 where no answer is wrong."""
        return float(np.mean(self.error))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: list(values) for name, values in vars(self).items()}


@dataclass(frozen=True)
class Familiarity:
    """How much a picture is like those of its class, as the model sees it; low where it is like none.

    The cosine of the angle between the model's features of a picture and the mean features of the nearest
    class. It sees what confidence does not: a network may be sure that a digit is a truck, but the digit's
    features point away from those of any truck. A simple form of the distances of K. Lee et al.,
    arXiv:1807.03888, and Y. Sun et al., arXiv:2204.06507; it told digits, noise, blood cells and street
    scenes from CIFAR-10 better than confidence, energy and Mahalanobis distance did (docs/log.md).

    Attributes:
        centres: float32 (classes, features), the mean features of each class, of length 1.
        least: `STRANGE` of the validation pictures lie below it.
    """

    centres: np.ndarray
    least: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Familiarity, float32 (n,), -1 to 1, of features (n, features)."""
        return (_unit(features) @ self.centres.T).max(axis=1).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `familiarity` reads it back."""
        return {"centres": np.round(self.centres.astype(float), 6).tolist(), "least": self.least}


def familiarity(record: Mapping[str, Any] | None) -> Familiarity | None:
    """The familiarity that a run's `calibration.json` tells of, None where it has none."""
    told = (record or {}).get("familiarity")
    return Familiarity(np.asarray(told["centres"], np.float32), float(told["least"])) if told else None


def fit_familiarity(features: np.ndarray, labels: np.ndarray, classes: int) -> Familiarity:
    """Learns what each class looks like.

    Args:
        features: (n, features) of pictures that the model was not trained on, n from 1.
        labels: int (n,), the true classes.
        classes: how many; one without pictures is like nothing.
    """
    truth = np.eye(classes, dtype=np.float32)[labels]
    centres = _unit(truth.T @ features)
    found = Familiarity(centres, -1.0)
    return Familiarity(centres, float(np.quantile(found(features), STRANGE)))


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def threshold(probabilities: np.ndarray, labels: np.ndarray, max_error: float) -> Threshold:
    """The lowest confidence that keeps the wrong answers among those given at `max_error` or below.

    Source: Y. Geifman, R. El-Yaniv, "Selective Classification for Deep Neural Networks", arXiv:1705.08500,
    without its bound: what other pictures show will lie a little above or below `max_error`.

    Args:
        probabilities: (n, classes), calibrated, of pictures that the model was not trained on.
        labels: int (n,), the true classes.
        max_error: wanted share of wrong answers, above 0 and below 1.

    Raises:
        UsageError: `max_error` is no such share, or there are no pictures.
        GateError: even the surest answers are wrong more often.

    Example:
        >>> sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
        >>> threshold(sure, np.array([0, 0, 1]), 0.1).coverage
        0.6666666666666666
    """
    if not 0 < max_error < 1:
        raise UsageError(f"max_error must lie between 0 and 1, such as 0.02. Received: max_error={max_error}")
    confidence, wrong = _ranked(probabilities, labels)
    errors = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    # Pictures of one confidence are answered together or not at all.
    last = np.append(confidence[1:] < confidence[:-1], True)
    good = np.flatnonzero((errors <= max_error) & last)
    if not len(good):
        raise GateError(
            f"No confidence keeps wrong answers at {max_error:.2%} of those given: the surest are wrong more "
            f"often. Expected: a larger --max-error. Received: max_error={max_error}"
        )
    kept = int(good[-1])
    lowest = 0.0 if kept == len(wrong) - 1 else float(confidence[kept])
    return Threshold(lowest, max_error, float(errors[kept]), (kept + 1) / len(wrong), len(wrong))


def doubt(
    confidence: float, familiar: float | None, sure_from: float | None, familiar_from: float | None
) -> str:
    """Why an answer is withheld, in a few words; empty where it is given.

    Args:
        confidence: the probability of the most probable class, 0 to 1.
        familiar: the picture's `Familiarity`, None where it is not known.
        sure_from: `Threshold.confidence`; None withholds nothing.
        familiar_from: `Familiarity.least`; None where the model cannot tell.
    """
    if sure_from is None:
        return ""
    if familiar is not None and familiar_from is not None and familiar < familiar_from:
        return "unlike the pictures the model knows"
    return f"less than {sure_from:.1%} sure" if confidence < sure_from else ""


def coverage(probabilities: np.ndarray, labels: np.ndarray, points: int = _POINTS) -> Coverage:
    """The error among the surest answers, for shares of the pictures from 1 % to all.

    Args:
        probabilities: (n, classes), n from 1.
        labels: int (n,), the true classes.
        points: how many shares at most.
    """
    confidence, wrong = _ranked(probabilities, labels)
    n = len(wrong)
    errors = np.cumsum(wrong) / np.arange(1, n + 1)
    at = np.unique(np.ceil(np.linspace(1 / points, 1, points) * n).astype(int)) - 1
    return Coverage(
        tuple(((at + 1) / n).tolist()), tuple(errors[at].tolist()), tuple(confidence[at].tolist())
    )


def answered(
    probabilities: np.ndarray, labels: np.ndarray, limit: Threshold, strange: np.ndarray | None = None
) -> dict[str, float]:
    """What withholding does to other pictures than those the threshold was chosen on.

    Args:
        probabilities: (n, classes), n from 1, calibrated.
        labels: int (n,), the true classes.
        limit: from `threshold`.
        strange: bool (n,), pictures that get no answer however confident the model is.

    Returns:
        `confidence` and `max_error` of the threshold; `coverage`, the share of the pictures that get an
        answer; `error`, the share of wrong ones among these, 0 where there is none.
    """
    given = probabilities.max(axis=1) >= limit.confidence
    if strange is not None:
        given &= ~strange
    wrong = (probabilities.argmax(axis=1) != labels) & given
    return {
        "confidence": limit.confidence,
        "max_error": limit.max_error,
        "coverage": float(given.mean()),
        "error": float(wrong.sum() / max(1, given.sum())),
    }


def _ranked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, highest first, and whether each answer is wrong."""
    if not len(labels):
        raise UsageError("There are no pictures to choose a confidence on. Expected: a validation split.")
    confidence = np.asarray(probabilities.max(axis=1), np.float64)
    order = np.argsort(-confidence, kind="stable")
    return confidence[order], (probabilities.argmax(axis=1) != np.asarray(labels))[order]
