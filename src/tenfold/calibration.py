"""Probabilities that mean what they say: of all answers given with 80 %, four in five should be right.

A network trained to the end is surer than it should be, or, with label smoothing, less sure. One number
mends most of it: the temperature by which all logits are divided. What label smoothing leaves, answers that
are too sure in the middle of the range, a curve over the confidence takes away. Neither changes an answer,
only how sure each is. Both are fitted on validation pictures and kept with the run, whose every answer then
carries them.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.errors import DataError, UsageError
from tenfold.reliability import Quality, log_loss, logarithms, quality

UNSURE = 1e-7
"""What is left beside the most probable class at least, so that its odds are finite."""

MARGIN = 1e-5
"""By how much the logarithm of the most probable class stays above the second's, so that float32 tells them
apart and the answer stays what it was."""

_LOW, _HIGH = 0.05, 20.0  # temperatures that are tried
_FOLDS = 5


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
    temperature = _temperature(logarithms(probabilities), labels)
    tempered = scaled(probabilities, temperature)
    confidence, right = tempered.max(axis=1), tempered.argmax(axis=1) == labels
    found = Calibrator(temperature, _curve(confidence, right) if _curve_pays(confidence, right) else None)
    return Calibration(
        found, len(labels), quality(probabilities, labels), quality(found(probabilities), labels)
    )


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda power: log_loss(logits, labels, float(np.exp(power))),
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
    least = rival * math.exp(MARGIN)  # as odds
    top = np.maximum(_bent(best, offset, slope), least / (1 + least))
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
    powers = logarithms(probabilities) / temperature
    shares = np.exp(powers - powers.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
