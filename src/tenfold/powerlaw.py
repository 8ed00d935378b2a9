"""A power law through the errors of a learning curve, with intervals that admit how little four points say.

    error(pictures) = floor + reach * (pictures / most) ** -power

Such curves are what classifiers show over wide ranges (Cortes et al., "Learning Curves: Asymptotic Values and
Rate of Convergence", NIPS 1993; Hestness et al., "Deep Learning Scaling is Predictable, Empirically",
arXiv:1712.00409), if not always (Viering and Loog, "The Shape of Learning Curves", arXiv:2103.10948).
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FARTHEST = 100.0
"""Times the most pictures that were learned from; beyond it nothing is foretold."""

# What chance does to the error of a run, as a share of it: the deviation over seeds was 0.3 to 3.3 % of the
# error with the recipes in docs/results.md. It counts as much as two differences between seeds that are seen.
_CHANCE, _KNOWN = 0.03, 2
_DRAWS = 4000
_LEVEL = 0.95


@dataclass(frozen=True)
class Point:
    """One training.

    Attributes:
        pictures: that it learned from.
        error: share of wrong answers, 0 to 1.
        judged: pictures that the error is of.
    """

    pictures: int
    error: float
    judged: int


@dataclass(frozen=True)
class Interval:
    """A median and the bounds that 95 % of what is likely lies between."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Fit:
    """All power laws that are likely after some points, as equally likely draws.

    Attributes:
        most: pictures of the largest point.
        floor: the error that is left with endlessly many pictures.
        power: how steeply the rest falls: twice the pictures divide it by 2 ** power.
    """

    most: int
    _floors: np.ndarray = field(repr=False)
    _reaches: np.ndarray = field(repr=False)
    _powers: np.ndarray = field(repr=False)

    @property
    def floor(self) -> Interval:
        return _interval(self._floors)

    @property
    def power(self) -> Interval:
        return _interval(self._powers)

    def error(self, pictures: float) -> Interval:
        """The error of a run that learns from so many pictures, apart from what chance adds."""
        return _interval(self._floors + self._reaches * (pictures / self.most) ** -self._powers)

    def pictures(self, error: float) -> Interval:
        """How many pictures bring the error down to one; infinity where none do."""
        room = error - self._floors
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            needed = self.most * (self._reaches / room) ** (1 / self._powers)
        return _interval(np.where(room > 0, needed, np.inf))

    def to_dict(self) -> dict[str, Any]:
        """Its parameters as JSON can hold them."""
        return {name: dataclasses.asdict(getattr(self, name)) for name in ("floor", "power")}


def fit(points: Sequence[Point]) -> Fit:
    """The power laws that agree with points, each as likely as chance makes the points under it.

    A grid of laws takes the place of least squares: three parameters pass through four points nearly whatever
    these are, and the covariance of a best fit would claim more than is known. All floors from 0 to the
    smallest error, and all powers up to 1.5, are taken for equally likely before the points are seen. Where
    they lie farther from every law than chance explains, chance is taken for that much larger.

    Args:
        points: of three or more different numbers of pictures; several may share one.
    """
    sizes = np.array([point.pictures for point in points], float)
    errors = np.array([point.error for point in points])
    judged = np.array([point.judged for point in points], float)
    most = sizes.max()
    # One wrong answer more, so that an error of 0 still has a deviation.
    shares = (errors * judged + 1) / (judged + 2)
    spread = shares * (1 - shares) / judged + _chance(sizes, shares) ** 2 * shares**2
    last = sizes == most
    weight = 1 / spread[last]
    centre, deviation = float((weight * errors[last]).sum() / weight.sum()), float(weight.sum() ** -0.5)
    ends = np.linspace(max(1e-6, centre - 4 * deviation), centre + 4 * deviation, 41)
    end, low, power = (
        axis.ravel() for axis in np.meshgrid(ends, np.linspace(0, 0.999, 60), np.linspace(0.02, 1.5, 75))
    )
    floor, reach = low * end, (1 - low) * end
    misses = np.zeros(len(end))
    for size, error, variance in zip(sizes, errors, spread, strict=True):
        misses += (error - floor - reach * (size / most) ** -power) ** 2 / variance
    excess = max(1.0, float(misses.min()) / max(1, len(points) - 3))
    likely = np.cumsum(np.exp(-(misses - misses.min()) / (2 * excess)))
    drawn = np.searchsorted(likely, likely[-1] * (np.arange(_DRAWS) + 0.5) / _DRAWS)
    return Fit(int(most), floor[drawn], reach[drawn], power[drawn])


def _chance(sizes: np.ndarray, shares: np.ndarray) -> float:
    """The deviation of an error by chance, as a share of it; points of equal size have their say."""
    squares, differences = _KNOWN * _CHANCE**2, _KNOWN
    for size in np.unique(sizes):
        same = shares[sizes == size]
        squares += float(((same / same.mean() - 1) ** 2).sum())
        differences += len(same) - 1
    return float((squares / differences) ** 0.5)


def _interval(values: np.ndarray) -> Interval:
    # Without interpolation, which infinities do not bear.
    bounds = np.quantile(values, ((1 - _LEVEL) / 2, 0.5, (1 + _LEVEL) / 2), method="higher")
    return Interval(*map(float, bounds))
