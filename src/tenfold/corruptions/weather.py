"""Weather: snow, frost, fog, too much light, and spatter on the lens.

Frost needs no photographs of others here: its ice is grown from random needles. All else follows the
published parameters, drawn on a lattice of 32 x 32 and stretched to the picture.
"""

from functools import cache

import numpy as np

from tenfold.corruptions import planes

# All parameters are those of CIFAR-10-C, for strengths 1 to 5; values in a range of 1, lengths in pixels of a
# 32 x 32 picture.
_BRIGHTNESS = (0.05, 0.1, 0.15, 0.2, 0.3)  # added to the value of HSV
_FOG = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))  # thickness, smoothness
_FROST = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))  # share of the picture, of the ice
# Mean and deviation of the flakes, zoom, least value, radius and sigma of the fall, picture kept.
_SNOW = (
    (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)
# Mean and deviation of the liquid, sigma, least value, strength of water or sigma of mud, which of them.
_SPATTER = (
    (0.62, 0.1, 0.7, 0.7, 0.5, "water"),
    (0.65, 0.1, 0.8, 0.7, 0.5, "water"),
    (0.65, 0.3, 1.0, 0.69, 0.5, "water"),
    (0.65, 0.1, 0.7, 0.69, 0.6, "mud"),
    (0.65, 0.1, 0.5, 0.68, 0.6, "mud"),
)
_WATER = np.array([175, 238, 238], np.float32)
_MUD = np.array([63, 42, 20], np.float32)
_ICE = np.array([0.86, 0.94, 1.0], np.float32)
_LIGHT = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue in the grey of a pixel


def brightness(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """More light: the value of HSV grows, hue and saturation stay."""
    old = planes.split(images)
    value = old.max(axis=0)
    wanted = np.minimum(value + 255 * np.float32(_BRIGHTNESS[severity - 1]), 255)
    old[:, value == 0] = 1  # black has no colour to keep
    old *= wanted / np.maximum(value, 1)
    return planes.join(old)


def fog(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Fog of uneven thickness; the brightest value stays where it was."""
    thickness, smoothness = _FOG[severity - 1]
    old = planes.split(images)
    highest = old.max(axis=(0, 2, 3))[:, None, None]
    clouds = _stretched(_plasma(len(images), planes.LATTICE, smoothness, rng), images)
    old += np.float32(255 * thickness) * clouds
    old *= highest / (highest + np.float32(255 * thickness))
    return planes.join(old)


def frost(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Ice on the window: a random part of a sheet of ice lies over the picture."""
    kept, share = _FROST[severity - 1]
    sheet, n = _ice(), len(images)
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (planes.LATTICE, planes.LATTICE))
    top, left = rng.integers(0, windows.shape[0], (2, n))
    ice = _stretched(windows[top, left], images)
    old = planes.split(images)
    old *= np.float32(kept)
    for plane, tint in zip(old, _ICE, strict=True):
        plane += np.float32(255 * share * tint) * ice
    return planes.join(old)


def snow(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Flakes that fall, in front of a picture turned paler."""
    mean, deviation, zoom, least, radius, sigma, kept = _SNOW[severity - 1]
    n, unit = len(images), planes.unit(images)
    flakes = _stretched(mean + deviation * _normal(n, rng), images, zoom)
    flakes = np.where(flakes < least, 0, np.minimum(flakes, 1))
    angles = rng.uniform(-135, -45, n)
    flakes = planes.streak(flakes[..., None], angles, radius * unit, sigma * unit)[..., 0]
    old = planes.split(images)
    pale = 1.5 * np.tensordot(_LIGHT, old, 1) + np.float32(127.5)
    new = np.float32(1 - kept) * np.maximum(old, pale)
    new += np.float32(kept) * old
    new += 255 * (flakes + flakes[:, ::-1, ::-1])
    return planes.join(new)


def spatter(images: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Drops on the lens: water that shines on one side, at strengths 4 and 5 mud."""
    mean, deviation, sigma, least, last, kind = _SPATTER[severity - 1]
    blur = planes.gaussian(planes.LATTICE, sigma)
    liquid = mean + deviation * planes.separable(_normal(len(images), rng), blur, blur)
    liquid = _stretched(liquid, images)
    wet = (liquid >= least).astype(np.float32)
    old = planes.split(images)
    height, width = images.shape[1:3]
    unit = planes.unit(images)
    if kind == "mud":
        mud = planes.separable(wet, planes.gaussian(height, last * unit), planes.gaussian(width, last * unit))
        mud[mud < 0.8] = 0
        old *= 1 - mud
        for plane, colour in zip(old, _MUD, strict=True):
            plane += colour * mud
        return planes.join(old)
    depth = planes.separable(wet, *(planes.smoothing(size, _box(unit)) for size in (height, width)))
    step = max(1, round(unit))
    slope = np.roll(depth, -step, (1, 2)) - np.roll(depth, step, (1, 2))  # light comes from one corner
    shine = wet * liquid * np.maximum(depth + slope, 0)
    shine *= np.float32(last) / np.maximum(shine.max(axis=(1, 2), keepdims=True), 1e-6)
    for plane, colour in zip(old, _WATER, strict=True):
        plane += colour * shine
    return planes.join(old)


def _normal(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, planes.LATTICE, planes.LATTICE), np.float32)


def _box(unit: float) -> np.ndarray:
    side = 2 * max(1, round(unit)) + 1
    return np.full(side, 1 / side)


def _stretched(fields: np.ndarray, images: np.ndarray, zoom: float = 1.0) -> np.ndarray:
    """Fields (n, 32, 32) brought to the size of the pictures."""
    height, width = images.shape[1:3]
    if height == width == planes.LATTICE and zoom == 1:
        return fields
    return planes.separable(fields, planes.stretch(height, zoom), planes.stretch(width, zoom))


def _plasma(n: int, size: int, smoothness: float, rng: np.random.Generator) -> np.ndarray:
    """Clouds (n, size, size) from 0 to 1, by the diamond-square method on a torus; size a power of two.

    Every round halves the distance of the points, each new one the mean of its four neighbours and a random
    number, whose range falls with the square of `smoothness`.

    Source: A. Fournier, D. Fussell and L. Carpenter, Computer rendering of stochastic models,
    Communications of the ACM 25 (1982), 371-384.
    """
    clouds = np.zeros((n, size, size), np.float32)
    spread, step = 1.0, size

    def between(*sums: np.ndarray) -> np.ndarray:
        chance = rng.random(sums[0].shape, np.float32) * 2 - 1
        return sum(sums[1:], sums[0]) / 4 + np.float32(spread) * chance

    while step >= 2:
        half = step // 2
        known = clouds[:, ::step, ::step]
        pairs = known + np.roll(known, -1, 1)
        middle = clouds[:, half::step, half::step] = between(pairs, np.roll(pairs, -1, 2))
        clouds[:, ::step, half::step] = between(middle, np.roll(middle, 1, 1), known, np.roll(known, -1, 2))
        clouds[:, half::step, ::step] = between(middle, np.roll(middle, 1, 2), known, np.roll(known, -1, 1))
        spread, step = spread / smoothness**2, half
    clouds -= clouds.min(axis=(1, 2), keepdims=True)
    return clouds / clouds.max(axis=(1, 2), keepdims=True)


@cache
def _ice() -> np.ndarray:
    """A sheet of ice (224, 224), 0 to 1, always the same: milky patches, and needles in six directions.

    Needles stand densely where the patches are thick and leave dark glass where they are thin.
    """
    rng = np.random.default_rng(1903)
    thick, glaze = _plasma(2, 256, 1.5, rng)
    seeds = (rng.random((6, 256, 256), np.float32) < 0.06 * thick**2).astype(np.float32)
    needles = planes.streak(seeds[..., None], np.arange(6) * 60.0 + 15, 12, 7)[..., 0]
    needles = planes.separable(needles, *[planes.gaussian(256, 0.5)] * 2).max(axis=0)
    ice = 0.1 + 0.7 * thick * glaze + 4 * needles
    return np.clip(ice[16:-16, 16:-16], 0, 1)  # what streaks in from the border is no needle
