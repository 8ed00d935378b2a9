"""Noise that falls on every value of a picture by itself: Gaussian, shot, impulse and speckle noise.

Such noise depends on the value alone, so each kind is one table: for every value, the results at evenly
spaced quantiles. Corrupting a picture is then one random number and one look into the table for each value,
whatever the distribution; the tails beyond one in 8,192 are missing.
"""

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy.special import pdtr

_STEPS = 4096
_VALUES = np.arange(256)[:, None] / 255
_QUANTILES = (np.arange(_STEPS) + 0.5) / _STEPS
_NORMAL = np.array([NormalDist().inv_cdf(share) for share in _QUANTILES])

# All parameters are those of CIFAR-10-C, for strengths 1 to 5.
_GAUSSIAN = (0.04, 0.06, 0.08, 0.09, 0.10)  # deviation, of a range of 1
_SHOT = (500, 250, 100, 75, 50)  # photons that make a value of 1
_IMPULSE = (0.01, 0.02, 0.03, 0.05, 0.07)  # share of values that turn black or white
_SPECKLE = (0.06, 0.10, 0.12, 0.16, 0.20)  # deviation, as a share of the value


def gaussian_noise(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Electronic noise: the same deviation everywhere."""
    return _drawn(images, _gaussian(severity), rng)


def shot_noise(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Too little light: every value counts photons, a Poisson number."""
    return _drawn(images, _shot(severity), rng)


def impulse_noise(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Defective values: salt and pepper, in every channel by itself."""
    return _drawn(images, _impulse(severity), rng)


def speckle_noise(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Noise that grows with the brightness of the pixel."""
    return _drawn(images, _speckle(severity), rng)


def _drawn(images: np.ndarray, table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    place = images.astype(np.intp)
    place *= _STEPS
    place += rng.integers(0, 2**16, images.shape, np.uint16) // np.uint16(2**16 // _STEPS)
    return table.take(place)


# One strength is in use at a time, by several threads at most; a table takes a megabyte.
@lru_cache(maxsize=2)
def _gaussian(severity: int) -> np.ndarray:
    return _table(_VALUES + _GAUSSIAN[severity - 1] * _NORMAL)


@lru_cache(maxsize=2)
def _shot(severity: int) -> np.ndarray:
    photons = _SHOT[severity - 1]
    counts = np.arange(photons + 8 * int(photons**0.5))
    shares = pdtr(counts, photons * _VALUES)  # (256, counts): up to so many photons
    return _table(np.stack([np.searchsorted(row, _QUANTILES) for row in shares]) / photons)


@lru_cache(maxsize=2)
def _impulse(severity: int) -> np.ndarray:
    half = _IMPULSE[severity - 1] / 2
    return _table(np.where(half > _QUANTILES, 0, np.where(1 - half < _QUANTILES, 1, _VALUES)))


@lru_cache(maxsize=2)
def _speckle(severity: int) -> np.ndarray:
    return _table(_VALUES * (1 + _SPECKLE[severity - 1] * _NORMAL))


def _table(results: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(results, 0, 1)).astype(np.uint8).ravel()
