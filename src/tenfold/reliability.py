"""How good probabilities are as probabilities: of all answers given with 80 %, are four in five right?"""

from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 15
"""Bins of equal width for the calibration error, as in most of the literature."""

_SMALLEST = float(np.finfo(np.float32).tiny)  # what a float32 softmax gives at least, short of 0


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, bin by bin; only bins that hold pictures are listed.

    Attributes:
        confidence: mean probability of the predicted class in each bin, 0 to 1.
        accuracy: share of right answers in each bin, 0 to 1.
        count: pictures in each bin.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy, weighted by pictures."""
        weights = np.array(self.count) / sum(self.count)
        return float(weights @ np.abs(np.array(self.confidence) - np.array(self.accuracy)))


@dataclass(frozen=True)
class Quality:
    """How good probabilities are as probabilities.

    Attributes:
        calibration_error: expected calibration error over `BINS` bins, 0 to 1.
        negative_log_likelihood: mean over pictures, in nats.
        brier: mean squared distance from the one-hot truth, summed over classes, 0 to 2.
        reliability: what the calibration error is the mean of.
    """

    calibration_error: float
    negative_log_likelihood: float
    brier: float
    reliability: Reliability

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "calibration_error": self.calibration_error,
            "negative_log_likelihood": self.negative_log_likelihood,
            "brier": self.brier,
            "reliability": {name: list(values) for name, values in vars(self.reliability).items()},
        }


def quality(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Quality:
    """Calibration error, negative log likelihood and Brier score.

    Sources: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
    Review 78 (1950), in its form for several classes; the calibration error is that of `reliability`.

    Args:
        probabilities: (n, classes), n from 1.
        labels: int (n,), the true classes.
        bins: of the calibration error.
    """
    labels = np.asarray(labels, np.int64)
    exact = np.asarray(probabilities, np.float64)
    truth = np.eye(exact.shape[1])[labels]
    found = reliability(exact, labels, bins)
    return Quality(
        calibration_error=found.error,
        negative_log_likelihood=log_loss(logarithms(exact), labels),
        brier=float(((exact - truth) ** 2).sum(axis=1).mean()),
        reliability=found,
    )


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """Sorts answers into bins of equal width by the probability of the predicted class.

    Source: M. Pakdaman Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI 2015. A bin takes its upper edge and not its lower one.

    Args:
        probabilities: (n, classes), n from 1.
        labels: int (n,), the true classes.
        bins: how many, 1 or more.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(number, minlength=bins)
    filled = np.flatnonzero(count)
    sums = (np.bincount(number, weights=values, minlength=bins)[filled] for values in (confidence, right))
    means = [tuple(float(value) for value in total / count[filled]) for total in sums]
    return Reliability(means[0], means[1], tuple(int(value) for value in count[filled]))


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Natural logarithms in float64, finite where a probability is 0."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _SMALLEST))


def log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log likelihood, in nats, of the true classes, the logits divided by `temperature`."""
    powers = logits / temperature
    powers -= powers.max(axis=1, keepdims=True)
    own = powers[np.arange(len(labels)), labels]
    return float((np.log(np.exp(powers).sum(axis=1)) - own).mean())
