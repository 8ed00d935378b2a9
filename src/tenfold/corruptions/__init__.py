"""Nineteen ways in which pictures go bad, in five strengths, computed on the fly.

They are those of CIFAR-10-C and ImageNet-C, with the parameters that CIFAR-10-C was made with: D. Hendrycks
and T. Dietterich, Benchmarking neural network robustness to common corruptions and perturbations,
arXiv:1903.12261. What is counted in pixels scales with the side of the picture. They are close to the
published pictures in meaning, not pixel by pixel: other random numbers, one rule at all borders, values
rounded and not cut, an ice of our own for frost, drops drawn more simply for water.
"""

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tenfold import machine
from tenfold.corruptions import blur, digital, noise, weather
from tenfold.errors import DataError, UsageError, unknown

Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""Uint8 pictures (n, height, width, 3), a strength from 1 to 5 and a random generator to such pictures.

What it draws depends on the shape of the pictures and never on what they show.
"""

GROUPS: dict[str, tuple[Corruption, ...]] = {
    "noise": (noise.gaussian_noise, noise.shot_noise, noise.impulse_noise, noise.speckle_noise),
    "blur": (blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur, blur.gaussian_blur),
    "weather": (weather.snow, weather.frost, weather.fog, weather.brightness, weather.spatter),
    "digital": (
        digital.contrast,
        digital.elastic_transform,
        digital.pixelate,
        digital.jpeg_compression,
        digital.saturate,
    ),
}
"""The corruptions by what causes them."""

CORRUPTIONS: dict[str, Corruption] = {f.__name__: f for group in GROUPS.values() for f in group}
"""The corruptions by the names that the literature knows them by."""

EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""Published to choose by; the mean that the literature reports is over the other fifteen."""

CANONICAL = tuple(name for name in CORRUPTIONS if name not in EXTRA)
"""The fifteen of the literature's mean."""

SEVERITIES = (1, 2, 3, 4, 5)
SMALLEST = 8
"""Pixels that height and width must have at least."""

_BLOCK_PIXELS = 2**17  # 128 pictures of 32 x 32: large enough for NumPy, small enough for the cache
_MOST = 128
_THREADS = min(8, machine.cores())


def corrupt(images: np.ndarray, name: str, severity: int, *, seed: int = 0, first: int = 0) -> np.ndarray:
    """Pictures gone bad, each by itself and always in the same way.

    What becomes of a picture depends on the picture, its row in the whole set, the corruption, the strength
    and the seed; not on the pictures that come with it. A large set can therefore be corrupted part by part.

    Args:
        images: uint8, (n, height, width, 3), sides of 8 pixels or more.
        name: a key of `CORRUPTIONS`.
        severity: strength, 1 to 5.
        seed: 0 or more; draws all that is random.
        first: row of the first of these pictures in the whole set.

    Returns:
        uint8, of the same shape.

    Raises:
        UsageError: there is no such corruption or strength, or `seed` or `first` is negative.
        DataError: these are no such pictures.

    Example:
        >>> pictures = np.full((2, 32, 32, 3), 100, np.uint8)
        >>> corrupt(pictures, "brightness", 1)[0, 0, 0].tolist()
        [113, 113, 113]
    """
    if name not in CORRUPTIONS:
        raise UsageError(unknown("corruption", name, CORRUPTIONS))
    if severity not in SEVERITIES:
        raise UsageError(f"A severity is a whole number from 1 to 5. Received: severity={severity}")
    if seed < 0 or first < 0:
        raise UsageError(f"Expected: seed and first row 0 or more. Received: seed={seed}, first={first}")
    if (
        images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[3] != 3
        or min(images.shape[1:3]) < SMALLEST
    ):
        raise DataError(
            f"Pictures must be uint8 of shape (n, height, width, 3), sides of {SMALLEST} or more. "
            f"Received: {images.dtype} of shape {images.shape}. Use --image-size 32 to enlarge small ones."
        )
    n, height, width, _ = images.shape
    size = max(1, min(_MOST, _BLOCK_PIXELS // (height * width)))
    result = np.empty_like(images)

    def work(block: int) -> None:
        # Blocks lie at the same rows of the whole set however it is cut, and have a generator each.
        start = block * size
        rows = slice(max(start, first) - first, min(start + size, first + n) - first)
        within = slice(rows.start + first - start, rows.stop + first - start)
        part = images[rows]
        if len(part) < size:
            part = np.zeros((size, height, width, 3), np.uint8)
            part[within] = images[rows]
        bits = np.random.SFC64([seed, zlib.crc32(name.encode()), severity, block])
        result[rows] = CORRUPTIONS[name](part, severity, np.random.Generator(bits))[within]

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, range(first // size, -(-(first + n) // size))))
    return result
