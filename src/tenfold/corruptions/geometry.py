"""Pictures moved, turned and brought closer by a known amount, for curves of accuracy against it.

All read the old picture bilinearly; what comes into view from beyond its border is its mirror image.
"""

from functools import lru_cache

import numpy as np
from scipy import sparse

from tenfold.corruptions import planes

_PIXELS = 2**17  # a call of the sparse product; more leaves the cache


def shift(images: np.ndarray, down: float, right: float) -> np.ndarray:
    """Pictures moved by `down` and `right` pixels, which may be negative and broken."""
    return _warped(images, (1, 0, -down, 0, 1, -right))


def rotate(images: np.ndarray, degrees: float) -> np.ndarray:
    """Pictures turned about their middle, counter-clockwise where `degrees` is positive."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return _warped(images, (cos, sin, 0, -sin, cos, 0))


def scale(images: np.ndarray, factor: float) -> np.ndarray:
    """Pictures enlarged about their middle; below 1 they shrink, their mirror images around them."""
    return _warped(images, (1 / factor, 0, 0, 0, 1 / factor, 0))


def _warped(images: np.ndarray, affine: tuple[float, ...]) -> np.ndarray:
    n, height, width, _ = images.shape
    matrix = _matrix(height, width, affine)
    step = max(1, _PIXELS // (height * width))
    new = np.empty_like(images)
    for start in range(0, n, step):
        part = slice(start, start + step)
        new[part] = planes.join(planes.warp(planes.split(images[part]), matrix))
    return new


@lru_cache(maxsize=4)
def _matrix(height: int, width: int, affine: tuple[float, ...]) -> sparse.csr_array:
    return planes.warping(height, width, np.reshape(affine, (2, 3)))
