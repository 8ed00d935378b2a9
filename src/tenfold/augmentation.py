"""Random changes to a whole batch of pictures at once, on plain arrays, for any Keras backend."""

import numpy as np

from tenfold.config import Augmentation


def augment(
    images: np.ndarray,
    settings: Augmentation,
    generator: np.random.Generator,
    mirrored: np.ndarray | None = None,
) -> np.ndarray:
    """A changed copy of a batch; every picture gets its own draw.

    Args:
        images: uint8, (n, height, width, 3).
        settings: what to change, and by how much.
        generator: where all randomness comes from.
        mirrored: bool (n,), the pictures to mirror where `settings.flip` is "alternate"
            (see `alternating`).

    Returns:
        uint8, (n, height, width, 3); `images` itself where `settings` asks for nothing.
    """
    if settings.flip == "random":
        mirrored = generator.random(len(images)) < 0.5
    if settings.flip != "none" and mirrored is not None:
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    if settings.crop:
        images = crop(images, settings.crop, generator)
    if settings.rotation or settings.shift or settings.zoom:
        images = warp(images, settings.rotation, settings.shift, settings.zoom, generator)
    if settings.brightness:
        images = brighten(images, settings.brightness, generator)
    if settings.cutout:
        images = cutout(images, settings.cutout, generator)
    return images


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


def crop(images: np.ndarray, pixels: int, generator: np.random.Generator) -> np.ndarray:
    """Mirror-pads by `pixels` on all sides and cuts the old size out at a random place."""
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    top, left = generator.integers(0, 2 * pixels + 1, (2, n))
    return np.ascontiguousarray(windows[np.arange(n), top, left].transpose(0, 2, 3, 1))


def warp(
    images: np.ndarray, rotation: float, shift: float, zoom: float, generator: np.random.Generator
) -> np.ndarray:
    """Rotates, moves and scales each picture by one affine map; the edge fills what comes into view.

    Args:
        rotation: up to this many degrees either way.
        shift: up to this fraction of width and of height.
        zoom: up to this fraction larger or smaller.
    """
    import torch

    n, height, width, _ = images.shape
    angle = np.deg2rad(generator.uniform(-rotation, rotation, n))
    scale = 1 / generator.uniform(1 - zoom, 1 + zoom, n)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    right, down = 2 * generator.uniform(-shift, shift, (2, n))  # the grid runs from -1 to 1
    aspect = height / width
    maps = np.stack([np.stack([cos, -sin * aspect, right], 1), np.stack([sin / aspect, cos, down], 1)], 1)
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(maps).float(), [n, 3, height, width], align_corners=False
    )
    moved = torch.nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def brighten(images: np.ndarray, fraction: float, generator: np.random.Generator) -> np.ndarray:
    """Adds one amount, up to `fraction` of the full range either way, to all pixels of a picture."""
    amount = np.rint(255 * generator.uniform(-fraction, fraction, len(images))).astype(np.int16)
    return np.clip(images.astype(np.int16) + amount[:, None, None, None], 0, 255).astype(np.uint8)


def cutout(images: np.ndarray, pixels: int, generator: np.random.Generator) -> np.ndarray:
    """Greys a square with sides of `pixels`, its centre anywhere in the picture (arXiv:1708.04552)."""
    n, height, width, _ = images.shape
    top = generator.integers(0, height, (n, 1)) - pixels // 2
    left = generator.integers(0, width, (n, 1)) - pixels // 2
    rows = (np.arange(height) >= top) & (np.arange(height) < top + pixels)
    columns = (np.arange(width) >= left) & (np.arange(width) < left + pixels)
    hidden = rows[:, :, None] & columns[:, None, :]
    return np.where(hidden[..., None], np.uint8(128), images)


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
