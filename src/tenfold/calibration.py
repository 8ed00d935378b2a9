"""Probabilities that mean what they say: of all answers given with 80 %, four in five should be right.

A network trained to the end is surer than it should be, or, with label smoothing, less sure. One number
mends most of it: the temperature by which all logits are divided. What label smoothing leaves, answers that
are too sure in the middle of the range, a curve over the confidence takes away. Neither changes an answer,
only how sure each is. Both are fitted on validation pictures and kept with the run, whose every answer then
carries them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.errors import DataError, UsageError

BINS = 15
"""Bins of equal width for the calibration error, as in most of the literature."""

UNSURE = 1e-7
"""What is left beside the most probable class at least, so that its odds are finite."""

_SMALLEST = float(np.finfo(np.float32).tiny)  # what a float32 softmax gives at least, short of 0
_LOW, _HIGH = 0.05, 20.0  # temperatures that are tried
_FOLDS = 5


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


@dataclass(frozen=True)
class Calibrator:
    """Turns a model's probabilities into calibrated ones; the order of the classes stays.

    Attributes:
        temperature: logits are divided by it; above 1 the model was too sure.
        curve: None, or offset and slope (above 0): a most probable class that has probability p by then gets
            the odds exp(offset) * (1 - p) ** -slope, and the other classes share the rest as before.
    """

    temperature: float = 1.0
    curve: tuple[float, float] | None = None

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrates probabilities.

        Args:
            probabilities: (n, classes), as the model gives them.

        Returns:
            float32 (n, classes); each row sums to 1.
        """
        tempered = scaled(probabilities, self.temperature)
        return tempered if self.curve is None else _curved(tempered, *self.curve)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"temperature": self.temperature, "curve": None if self.curve is None else list(self.curve)}

    def __str__(self) -> str:
        """As the metadata of an exported file hold it."""
        return json.dumps(self.to_dict())


PLAIN = Calibrator()
"""Changes nothing."""


def calibrator(record: Mapping[str, Any] | None) -> Calibrator:
    """What `Calibrator.to_dict` or a run's `calibration.json` tells of; None: no change."""
    if not record:
        return PLAIN
    curve = record["curve"]
    return Calibrator(float(record["temperature"]), None if curve is None else (curve[0], curve[1]))


@dataclass(frozen=True)
class Calibration:
    """A fitted calibrator and what it did for the pictures it was fitted on.

    Attributes:
        calibrator: to call with probabilities.
        pictures: how many it was fitted on.
        before, after: the quality of their probabilities without and with it.
    """

    calibrator: Calibrator
    pictures: int
    before: Quality
    after: Quality

    def to_dict(self) -> dict[str, Any]:
        """As `calibration.json` of a run holds it."""
        return {
            **self.calibrator.to_dict(),
            "split": "validation",
            "pictures": self.pictures,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }


def fit(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    """The temperature under which the true classes are most likely, and the curve where one is needed.

    Sources: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, for the temperature. Probabilities serve in place of logits, as their logarithms differ
    from the logits by one number for the whole row, which a softmax takes out again. The curve is beta
    calibration (M. Kull, T. M. Silva Filho, P. Flach, AISTATS 2017) of the confidence, with its parameter
    for the lower end left at 0. It is kept where it raises the likelihood, in cross-validation, of which
    answers are right.

    Args:
        probabilities: (n, classes), not calibrated, of pictures that the model was not trained on.
        labels: int (n,), the true classes.

    Raises:
        DataError: there are no pictures.

    Example:
        >>> surer = np.array([[0.98, 0.02]] * 10)  # right eight times out of ten
        >>> round(float(fit(surer, np.array([0] * 8 + [1] * 2)).calibrator(surer)[0, 0]), 2)
        0.8
    """
    labels = np.asarray(labels, np.int64)
    if not len(labels):
        raise DataError("There are no pictures to calibrate on. Expected: a validation split.")
    temperature = _temperature(_logarithms(probabilities), labels)
    tempered = scaled(probabilities, temperature)
    confidence, right = tempered.max(axis=1), tempered.argmax(axis=1) == labels
    found = Calibrator(temperature, _curve(confidence, right) if _curve_pays(confidence, right) else None)
    return Calibration(
        found, len(labels), quality(probabilities, labels), quality(found(probabilities), labels)
    )


def _temperature(logarithms: np.ndarray, labels: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda power: _log_loss(logarithms, labels, float(np.exp(power))),
        bounds=(np.log(_LOW), np.log(_HIGH)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def _curve(confidence: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Offset and slope that make the right answers most likely."""
    from scipy.optimize import minimize

    found = minimize(
        lambda values: _miss(confidence, right, (values[0], float(np.exp(values[1])))),
        [0.0, 0.0],
        method="Nelder-Mead",
    )
    return float(found.x[0]), float(np.exp(found.x[1]))


def _curve_pays(confidence: np.ndarray, right: np.ndarray) -> bool:
    fold = np.arange(len(right)) % _FOLDS  # validation pictures come in no order of their own
    parts = [(fold != k, fold == k) for k in range(_FOLDS)]
    if any(right[rest].all() or not right[rest].any() or not held.any() for rest, held in parts):
        return False
    curved = [
        _miss(confidence[held], right[held], _curve(confidence[rest], right[rest])) for rest, held in parts
    ]
    straight = [_miss(confidence[held], right[held], None) for _, held in parts]
    return bool(np.mean(curved) < np.mean(straight))


def _miss(confidence: np.ndarray, right: np.ndarray, curve: tuple[float, float] | None) -> float:
    """Log loss, in nats, of taking a confidence for the probability of being right."""
    shares = np.asarray(confidence, np.float64) if curve is None else _bent(confidence, *curve)
    shares = np.clip(shares, 1e-9, 1 - 1e-9)
    return float(-np.log(np.where(right, shares, 1 - shares)).mean())


def _bent(confidence: np.ndarray, offset: float, slope: float) -> np.ndarray:
    odds = offset - slope * np.log(np.maximum(1 - np.asarray(confidence, np.float64), UNSURE))
    return 1 / (1 + np.exp(-odds))


def _curved(probabilities: np.ndarray, offset: float, slope: float) -> np.ndarray:
    exact = np.asarray(probabilities, np.float64)
    first = exact.argmax(axis=1)[:, None]
    best = np.take_along_axis(exact, first, axis=1)
    rest = np.maximum(1 - best, UNSURE)
    rival = np.partition(exact, -2, axis=1)[:, -2:-1] / rest  # the second class's part of what is left
    # Never below the second: the answer stays what it was.
    top = np.maximum(_bent(best, offset, slope), rival / (1 + rival) + 1e-6)
    bent = exact * ((1 - top) / rest)
    np.put_along_axis(bent, first, top, axis=1)
    return (bent / bent.sum(axis=1, keepdims=True)).astype(np.float32)


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities as they would be had the logits been divided by `temperature`.

    Args:
        probabilities: (n, classes).
        temperature: above 0; 1 changes nothing.

    Returns:
        float32 (n, classes); each row sums to 1, its order is kept.

    Raises:
        UsageError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise UsageError(f"A temperature must be above 0. Received: temperature={temperature}")
    if temperature == 1:
        return np.asarray(probabilities, np.float32)
    powers = _logarithms(probabilities) / temperature
    shares = np.exp(powers - powers.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def quality(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Quality:
    """Calibration error, negative log likelihood and Brier score.

    Sources: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
    Review 78 (1950), in its form for several classes; for the rest see `fit` and `reliability`.

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
        negative_log_likelihood=_log_loss(_logarithms(exact), labels, 1.0),
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


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _SMALLEST))


def _log_loss(logarithms: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    powers = logarithms / temperature
    powers -= powers.max(axis=1, keepdims=True)
    own = powers[np.arange(len(labels)), labels]
    return float((np.log(np.exp(powers).sum(axis=1)) - own).mean())
