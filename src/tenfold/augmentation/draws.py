"""What is drawn for a batch: the changes to every picture, each picture's own."""

from collections.abc import Sequence

import numpy as np

from tenfold.augmentation import chains
from tenfold.augmentation.changes import Changes, apply
from tenfold.config import Augmentation

_AREA, _ASPECT = (0.02, 0.33), (0.3, 3.3)  # of the rectangle of random erasing, as in its paper


def draw(
    settings: Augmentation,
    shape: Sequence[int],
    generator: np.random.Generator,
    mirrored: np.ndarray | None = None,
) -> Changes:
    """Draws the changes to a batch, every picture's own.

    Args:
        settings: what to change, and by how much.
        shape: of the batch, (n, height, width, 3).
        generator: where all randomness comes from.
        mirrored: bool (n,), the pictures to mirror where `settings.flip` is "alternate"
            (see `alternating`).
    """
    n, height, width = shape[:3]
    drawn: dict[str, np.ndarray | None] = {"mirrored": mirrored if settings.flip == "alternate" else None}
    if settings.flip in ("random", "both"):
        drawn["mirrored"] = generator.random(n) < 0.5
    if settings.crop:
        corner = generator.integers(0, 2 * settings.crop + 1, (2, n)) - settings.crop
        drawn["corner"] = corner.astype(np.int32)
    maps = None
    if settings.rotation or settings.shift or settings.zoom:
        maps = _affine_maps(settings, n, height / width, generator)
    if settings.brightness:
        amount = 255 * generator.uniform(-settings.brightness, settings.brightness, n)
        drawn["amount"] = np.rint(amount).astype(np.int16)
    if settings.cutout:  # arXiv:1708.04552: the centre lies anywhere in the picture
        top = generator.integers(0, height, n) - settings.cutout // 2
        left = generator.integers(0, width, n) - settings.cutout // 2
        drawn["hidden"] = _rectangles(top, top + settings.cutout, left, left + settings.cutout)
    # New settings draw behind the older ones, so that a run of old settings draws what it always drew.
    if settings.flip in ("vertical", "both"):
        drawn["upended"] = generator.random(n) < 0.5
    drawn |= _retouches(settings, n, height / width, maps, generator)
    if settings.erasing:
        drawn["erased"] = _erased(settings.erasing, n, height, width, generator)
    if settings.mixes:
        drawn |= _mixture(settings, n, height, width, generator)
    return Changes(**drawn)


def augment(
    images: np.ndarray,
    settings: Augmentation,
    generator: np.random.Generator,
    mirrored: np.ndarray | None = None,
) -> np.ndarray:
    """A changed copy of a batch: `apply` to `images` of what `draw` draws for it."""
    return apply(images, draw(settings, images.shape, generator, mirrored))


def alternating(index: np.ndarray, epoch: int, seed: int, total: int) -> np.ndarray:
    """Which pictures to mirror in an epoch so that any two epochs in a row show each one both ways.

    From Jordan's airbench (arXiv:2404.00498): every picture starts on a random side, then alternates.

    Args:
        index: int (n,), places of the batch's pictures in the training split.
        epoch: from 0.
        seed: draws the sides the pictures start on.
        total: pictures in the training split.

    Returns:
        bool (n,).
    """
    starts = np.random.default_rng([seed, 0xF11B]).integers(0, 2, total)
    return (starts[index] + epoch) % 2 == 1


def needs_torch(settings: Augmentation) -> bool:
    """Whether any of it is carried out on torch's tensors (`pixels.retouch`), whatever Keras runs on."""
    moved = settings.rotation or settings.shift or settings.zoom or settings.shear
    return bool(moved or settings.contrast or settings.saturation or settings.randaugment or settings.augmix)


def _affine_maps(settings: Augmentation, n: int, aspect: float, generator: np.random.Generator) -> np.ndarray:
    """Rotation by `settings.rotation` degrees, shift and zoom by fractions of the picture, all in one map."""
    angle = np.deg2rad(generator.uniform(-settings.rotation, settings.rotation, n))
    scale = 1 / generator.uniform(1 - settings.zoom, 1 + settings.zoom, n)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    right, down = 2 * generator.uniform(-settings.shift, settings.shift, (2, n))  # pictures are 2 wide here
    rows = [np.stack([cos, -sin * aspect, right], 1), np.stack([sin / aspect, cos, down], 1)]
    return np.stack(rows, 1).astype(np.float32)


def _retouches(
    settings: Augmentation,
    n: int,
    aspect: float,
    maps: np.ndarray | None,
    generator: np.random.Generator,
) -> dict[str, np.ndarray | None]:
    """What `pixels.retouch` does, `maps` among it and every other map composed with them."""
    found: dict[str, np.ndarray | None] = {"maps": maps}
    tones = []
    if settings.shear:
        slant = chains.still(n)
        slant[:, 0, 1] = aspect * np.tan(np.deg2rad(generator.uniform(-settings.shear, settings.shear, n)))
        found["maps"] = _through(maps, slant)
    if settings.contrast:
        strength = generator.uniform(1 - settings.contrast, 1 + settings.contrast, n)
        tones.append(chains.toned(np.full((1, n), "contrast"), strength[None]))
    colour = None
    if settings.saturation:
        colour = generator.uniform(1 - settings.saturation, 1 + settings.saturation, n)
    if settings.randaugment:
        more = chains.randaugment(settings.randaugment, settings.magnitude, n, aspect, generator)
        found["maps"] = _through(found["maps"], more["maps"])
        tones.append(more["tones"])
        colour = more["colour"] if colour is None else colour * more["colour"]
        found["sharpness"] = more["sharpness"]
    found["colour"] = colour
    if tones:
        found["tones"] = np.concatenate(tones, axis=1)
    if settings.augmix:
        found |= chains.augmix(settings.augmix, n, aspect, generator)
    return {name: None if a is None else a.astype(np.float32) for name, a in found.items()}


def _through(maps: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    """Maps (n, 2, 3), and then maps (n, 3, 3) of the picture that those make."""
    return more[:, :2] if maps is None else maps @ more


def _rectangles(top: np.ndarray, bottom: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.array([top, bottom, left, right], np.int32)


def _erased(share: float, n: int, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Random erasing of `share` of the pictures (Zhong et al., arXiv:1708.04896); no rectangle elsewhere."""
    chosen = generator.random(n) < share
    area = generator.uniform(*_AREA, n) * height * width
    least, most = np.log(_ASPECT)
    aspect = np.exp(generator.uniform(least, most, n))  # a tall one is as likely as a wide one
    tall = np.clip(np.rint(np.sqrt(area * aspect)), 1, height) * chosen
    wide = np.clip(np.rint(np.sqrt(area / aspect)), 1, width) * chosen
    top = np.floor(generator.random(n) * (height - tall + 1))
    left = np.floor(generator.random(n) * (width - wide + 1))
    return _rectangles(top, top + tall, left, left + wide)


def _mixture(
    settings: Augmentation, n: int, height: int, width: int, generator: np.random.Generator
) -> dict[str, np.ndarray | None]:
    """MixUp (Zhang et al., arXiv:1710.09412) or CutMix (Yun et al., arXiv:1905.04899), one of both a batch.

    Other than in the papers every picture has a share of its own.
    """
    cut = settings.cutmix > 0 and (settings.mixup == 0 or generator.random() < 0.5)
    alpha = settings.cutmix if cut else settings.mixup
    partner = generator.permutation(n).astype(np.int32)
    share = generator.beta(alpha, alpha, n)
    if not cut:
        return {"partner": partner, "share": (np.rint(256 * share) / 256).astype(np.float32)}
    tall, wide = (np.rint(size * np.sqrt(1 - share)).astype(np.int64) for size in (height, width))
    top = generator.integers(0, height, n) - tall // 2
    left = generator.integers(0, width, n) - wide // 2
    top, bottom = np.clip(top, 0, height), np.clip(top + tall, 0, height)
    left, right = np.clip(left, 0, width), np.clip(left + wide, 0, width)
    share = 1 - (bottom - top) * (right - left) / (height * width)  # the true one, at the edge too
    return {
        "partner": partner,
        "share": share.astype(np.float32),
        "pasted": _rectangles(top, bottom, left, right),
    }
