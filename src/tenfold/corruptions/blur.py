"""Blur: out of focus, behind frosted glass, in motion, zooming, and plain Gaussian."""

from functools import lru_cache

import numpy as np
from scipy import sparse

from tenfold.corruptions import planes

# All parameters are those of CIFAR-10-C, for strengths 1 to 5; lengths in pixels of a 32 x 32 picture.
_GAUSSIAN = (0.4, 0.6, 0.7, 0.8, 1.0)  # sigma
_DEFOCUS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))  # radius of the disk, its softness
_GLASS = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))  # sigma, reach, rounds
_MOTION = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))  # radius, sigma
_ZOOM = (1.06, 1.11, 1.16, 1.21, 1.26)  # up to, by hundredths


def gaussian_blur(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian blur."""
    sigma = _GAUSSIAN[severity - 1] * planes.unit(images)
    return planes.join(_smoothed(planes.split(images), sigma))


def defocus_blur(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Out of focus: every point becomes a disk with a slightly soft rim."""
    unit = max(1.0, planes.unit(images))  # a smaller disk would be a single pixel
    radius, soft = (length * unit for length in _DEFOCUS[severity - 1])
    grid = np.arange(-int(radius), int(radius) + 1)
    disk = (grid[:, None] ** 2 + grid**2 <= radius**2) / 1.0
    rim = planes.bell(soft, max(1, round(unit)))
    # A disk is a sum of a few products of a column and a row, which are cheap to convolve with.
    columns, sizes, rows = np.linalg.svd(disk)
    terms = [
        (np.convolve(column * size, rim), np.convolve(row, rim))
        for column, size, row in zip(columns.T, sizes, rows, strict=True)
        if size > 0.01 * sizes[0]
    ]
    whole = sum(column.sum() * row.sum() for column, row in terms)
    old = planes.split(images)
    blurred = np.zeros_like(old)
    for column, row in terms:
        height, width = images.shape[1:3]
        blurred += planes.separable(
            old, planes.smoothing(height, column / whole), planes.smoothing(width, row)
        )
    return planes.join(blurred)


def glass_blur(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Frosted glass: a blur, pixels that take over the value of one nearby, a blur.

    The published pictures were made by a loop that means to swap pixels and copies them; so does this.
    """
    unit = planes.unit(images)
    sigma, reach, rounds = _GLASS[severity - 1]
    n, height, width, _ = images.shape
    reach = max(1, round(reach * unit))
    order = np.arange(n * height * width).reshape(n, height, width)
    for _ in range(rounds):
        down, right = rng.integers(-reach, reach, (2, n, height, width), np.int8)
        row = np.clip(np.arange(height)[:, None] + down, 0, height - 1)
        column = np.clip(np.arange(width) + right, 0, width - 1)
        place = (np.arange(n)[:, None, None] * height + row) * width + column
        order = order.take(place)
    old = _smoothed(planes.split(images), sigma * unit)
    mixed = np.stack([plane.take(order) for plane in old.reshape(3, -1)])
    return planes.join(_smoothed(mixed, sigma * unit))


def motion_blur(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A camera that moves, to the side or up to 45 degrees off it."""
    radius, sigma = (length * planes.unit(images) for length in _MOTION[severity - 1])
    moved = planes.streak(images, rng.uniform(-45, 45, len(images)), radius, sigma)
    return np.rint(moved, out=moved).astype(np.uint8)  # a mean of values stays among them


def zoom_blur(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A camera that moves closer: the mean of the picture and of enlarged ones."""
    operator = _zooms(*images.shape[1:3], severity)
    return planes.join(planes.warp(planes.split(images), operator))


def _smoothed(old: np.ndarray, sigma: float) -> np.ndarray:
    height, width = old.shape[2:]
    return planes.separable(old, planes.gaussian(height, sigma), planes.gaussian(width, sigma))


@lru_cache(maxsize=2)
def _zooms(height: int, width: int, severity: int) -> sparse.csr_array:
    mean = sparse.eye_array(height * width, dtype=np.float32, format="csr")
    factors = np.arange(1, _ZOOM[severity - 1], 0.01)
    for factor in factors:
        (down, top), (across, left) = _closer(height, factor), _closer(width, factor)
        mean += planes.warping(height, width, np.array([[down, 0, top], [0, across, left]]))
    return mean / np.float32(len(factors) + 1)


def _closer(size: int, factor: float) -> tuple[float, float]:
    """What one pixel of a line is in the enlarged one, and how far its middle moves.

    Whole pixels are cut out, enlarged to whole pixels and cut again, as published: the middle moves by up to
    half a pixel, which blurs more than the enlargement itself.
    """
    cut = int(np.ceil(size / factor))
    enlarged = round(cut * factor)
    pixel = (cut - 1) / (enlarged - 1)
    first = (size - cut) // 2 + (enlarged - size) // 2 * pixel
    return pixel, first + (pixel - 1) * (size - 1) / 2
