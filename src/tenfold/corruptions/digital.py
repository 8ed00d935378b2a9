"""What software and screens do to pictures: contrast, saturation, pixels, JPEG, and elastic distortion."""

import io

import numpy as np
from PIL import Image

from tenfold.corruptions import planes

# All parameters are those of CIFAR-10-C, for strengths 1 to 5; lengths in pixels of a 32 x 32 picture.
_CONTRAST = (0.75, 0.5, 0.4, 0.3, 0.15)  # share of the contrast that is left
_SATURATION = ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2))  # factor, and what is added
_PIXELS = (0.95, 0.9, 0.85, 0.75, 0.65)  # share of the rows and columns that is left
_QUALITY = (80, 65, 58, 50, 40)
# Height of the waves before smoothing, sigma of their smoothing, how far the corners of a triangle move.
_ELASTIC = ((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96))


def contrast(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Every channel brought closer to its mean in the picture."""
    old = planes.split(images)
    means = old.mean(axis=(2, 3), keepdims=True)
    old -= means
    old *= np.float32(_CONTRAST[severity - 1])
    old += means
    return planes.join(old)


def saturate(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Strengths 1 and 2 drain the colour, 3 to 5 exaggerate it; grey counts as red of saturation 0."""
    factor, more = _SATURATION[severity - 1]
    old = planes.split(images)
    value = old.max(axis=0)
    short = value - old
    span = short.max(axis=0)
    grey = span == 0
    if more:
        short[1:, grey] = value[grey]  # red: what is missing of green and blue, to be scaled below
        span[grey] = value[grey]
    # Saturation is span / value; the new one, over the old one, scales what each channel lacks of the value.
    saturation = np.divide(np.where(grey, 0, span), value, out=np.zeros_like(value), where=value > 0)
    wanted = np.clip(saturation * factor + more, 0, 1)
    ratio = np.divide(wanted * value, span, out=np.zeros_like(value), where=span > 0)
    return planes.join(value - short * ratio)


def pixelate(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Too few pixels: shrunk by Pillow's box filter and enlarged again without smoothing.

    With every doubling of the picture from 32 x 32 on, the same share is taken away once more.
    """
    share = _PIXELS[severity - 1] ** (1 + max(0, np.log2(planes.unit(images))))
    rows, columns = (_coarse(size, int(size * share)) for size in images.shape[1:3])
    return planes.join(planes.separable(planes.split(images), rows, columns))


def jpeg_compression(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Saved as JPEG by Pillow and read again."""
    read = np.empty_like(images)
    for picture, out in zip(images, read, strict=True):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY[severity - 1])
        out[...] = Image.open(file, formats=("JPEG",))
    return read


def elastic_transform(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A random affine map and small waves, both in one bilinear reading."""
    high, sigma, spread = _ELASTIC[severity - 1]
    n, height, width, _ = images.shape
    unit = planes.unit(images)
    maps = _affine(n, min(height, width) // 3, spread * unit, rng).astype(np.float32)
    middle = np.array([height // 2, width // 2], np.float32)
    places = np.indices((height, width), np.float32)[:, None] - middle[:, None, None, None]
    if high:
        blur = planes.gaussian(planes.LATTICE, sigma)
        rows, columns = (planes.stretch(size) @ blur for size in (height, width))
        waves = rng.random((2, n, planes.LATTICE, planes.LATTICE), np.float32) * 2 - 1
        places = places + np.float32(high * unit) * planes.separable(waves, rows, columns)
    down, right, still = maps[..., None, None].transpose(2, 1, 0, 3, 4)  # each (2, n, 1, 1)
    rows, columns = down * places[0] + right * places[1] + still + middle[:, None, None, None]
    return planes.join(planes.look_up(planes.split(images), rows, columns))


def _affine(n: int, half: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Maps (n, 2, 3) from where the corners of a triangle have moved to, back to where they were."""
    corners = np.array([[half, half], [half, -half], [-half, -half]])
    moved = corners + rng.uniform(-spread, spread, (n, 3, 2))
    places = np.concatenate([moved, np.ones((n, 3, 1))], axis=2)
    return np.linalg.solve(places, np.tile(corners, (n, 1, 1))).transpose(0, 2, 1)


def _coarse(size: int, fewer: int) -> np.ndarray:
    """The matrix (size, size) that gives each pixel of a line the mean over its one of `fewer` groups."""
    group = ((np.arange(size) + 0.5) * fewer / size).astype(int)
    same = (group[:, None] == group).astype(np.float32)
    return same / same.sum(axis=1)
