"""Random changes to a whole batch of pictures at once: what is drawn, and what it does to plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenfold import device
from tenfold.config import Augmentation


@dataclass(frozen=True)
class Changes:
    """What happens to the n pictures of a batch, in this order; None where nothing does.

    Small beside the pictures: it alone travels where those live on an accelerator (`device.Pictures`).

    Attributes:
        mirrored: bool (n,), the pictures whose left and right are exchanged.
        corner: int32 (2, n), the row and column at which the new picture begins in the old one; what lies
            outside of that is its mirror image.
        maps: float32 (n, 2, 3), the affine map from a place (x, y, 1) in the new picture to the place in the
            old one that is seen there; a picture reaches from -1 to 1, its edge fills what lies beyond.
        amount: int16 (n,), added to all pixels, -255 to 255.
        hidden: int32 (4, n), the first row, the row behind the last, and the same two columns of the square
            that turns grey; it may reach beyond the picture.
    """

    mirrored: np.ndarray | None = None
    corner: np.ndarray | None = None
    maps: np.ndarray | None = None
    amount: np.ndarray | None = None
    hidden: np.ndarray | None = None


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
    if settings.flip == "random":
        drawn["mirrored"] = generator.random(n) < 0.5
    if settings.crop:
        corner = generator.integers(0, 2 * settings.crop + 1, (2, n)) - settings.crop
        drawn["corner"] = corner.astype(np.int32)
    if settings.rotation or settings.shift or settings.zoom:
        drawn["maps"] = _affine_maps(settings, n, height / width, generator)
    if settings.brightness:
        amount = 255 * generator.uniform(-settings.brightness, settings.brightness, n)
        drawn["amount"] = np.rint(amount).astype(np.int16)
    if settings.cutout:  # arXiv:1708.04552: the centre lies anywhere in the picture
        top = generator.integers(0, height, n) - settings.cutout // 2
        left = generator.integers(0, width, n) - settings.cutout // 2
        hidden = [top, top + settings.cutout, left, left + settings.cutout]
        drawn["hidden"] = np.array(hidden, np.int32)
    return Changes(**drawn)


def _affine_maps(settings: Augmentation, n: int, aspect: float, generator: np.random.Generator) -> np.ndarray:
    """Rotation by `settings.rotation` degrees, shift and zoom by fractions of the picture, all in one map."""
    angle = np.deg2rad(generator.uniform(-settings.rotation, settings.rotation, n))
    scale = 1 / generator.uniform(1 - settings.zoom, 1 + settings.zoom, n)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    right, down = 2 * generator.uniform(-settings.shift, settings.shift, (2, n))  # pictures are 2 wide here
    rows = [np.stack([cos, -sin * aspect, right], 1), np.stack([sin / aspect, cos, down], 1)]
    return np.stack(rows, 1).astype(np.float32)


def apply(images: np.ndarray, changes: Changes) -> np.ndarray:
    """Pictures as `changes` leave them.

    Args:
        images: uint8, (n, height, width, 3).

    Returns:
        uint8, (n, height, width, 3); `images` itself where nothing changes.
    """
    if changes.mirrored is not None:
        images = np.where(changes.mirrored[:, None, None, None], images[:, :, ::-1], images)
    if changes.corner is not None:
        images = _crop(images, changes.corner)
    if changes.maps is not None:
        images = _warp(images, changes.maps)
    if changes.amount is not None:
        lighter = images.astype(np.int16) + changes.amount[:, None, None, None]
        images = np.clip(lighter, 0, 255).astype(np.uint8)
    if changes.hidden is not None:
        images = _hide(images, changes.hidden)
    return images


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


def _crop(images: np.ndarray, corner: np.ndarray) -> np.ndarray:
    n, height, width, _ = images.shape
    pixels = int(np.abs(corner).max(initial=0))
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    top, left = corner + pixels
    return np.ascontiguousarray(windows[np.arange(n), top, left].transpose(0, 2, 3, 1))


def _warp(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    import torch

    moved = device.warp(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(maps))
    return moved.contiguous().numpy()


def _hide(images: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    top, bottom, left, right = hidden[:, :, None]
    row, column = np.arange(images.shape[1]), np.arange(images.shape[2])
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    square = rows[:, :, None] & columns[:, None, :]
    return np.where(square[..., None], np.uint8(device.GREY), images)


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Pictures brought to `side` by `side` pixels, every old pixel taking part (antialiased bilinear).

    Learning from small pictures first and full ones later is progressive resizing, as fast.ai's entry to
    DAWNBench did it (2018): a step costs as much as the picture has pixels, and what it teaches carries over.

    Args:
        images: uint8, (n, height, width, 3).
        side: new height and width.
    """
    import torch

    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    small = torch.nn.functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    return np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy())
