"""Training pictures that live on the accelerator, where their batches are cut out and changed."""

from typing import Any

import keras
import numpy as np

GREY = 128  # of the square that cutout leaves


class Pictures:
    """All training pictures and their targets, as torch's or JAX's tensors on the device that Keras uses.

    A batch is made there in one gather, which selects, mirrors and crops, and only what was drawn for it
    travels. Jordan's airbench (arXiv:2404.00498) keeps its pictures so; on a processor it gains nothing.
    Flip, crop, brightness and cutout give the very pixels that `augmentation.apply` gives.

    Args:
        images: uint8 (n, height, width, 3).
        targets: (n, ...), integers or float32.
    """

    def __init__(self, images: np.ndarray, targets: np.ndarray):
        self._images = keras.ops.convert_to_tensor(images)
        self._targets = keras.ops.convert_to_tensor(_short(targets))
        self._make = _make
        if keras.backend.backend() == "jax":
            import jax

            self._make = jax.jit(_make, static_argnames="side")  # else each operation is a call of its own

    def batch(
        self, index: np.ndarray, side: int | None = None, **changes: np.ndarray | None
    ) -> tuple[Any, Any]:
        """The pictures at some places, changed, with their targets.

        Args:
            index: int (b,), places in the training set.
            side: new height and width, in place of the old ones, as by `augmentation.shrink` but for
                rounding: off by one grey level at most.
            changes: the fields of an `augmentation.Changes` for b pictures; `maps` under torch only.

        Returns:
            uint8 (b, height, width, 3) and (b, ...), tensors on the device.
        """
        drawn = {name: keras.ops.convert_to_tensor(a) for name, a in changes.items() if a is not None}
        place = keras.ops.convert_to_tensor(_short(index))
        return self._make(self._images, self._targets, place, side=side, **drawn)


def warp(images: Any, maps: Any) -> Any:
    """Pictures seen through affine maps, bilinear; the edge fills what comes into view.

    Args:
        images: torch tensor, uint8 (n, height, width, 3).
        maps: torch tensor on the same device, float32 (n, 2, 3); see `augmentation.Changes`.

    Returns:
        torch tensor, uint8, of the same shape.
    """
    import torch

    pixels = images.permute(0, 3, 1, 2).float()
    grid = torch.nn.functional.affine_grid(maps, list(pixels.shape), align_corners=False)
    moved = torch.nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _make(
    images: Any,
    targets: Any,
    index: Any,
    *,
    side: int | None,
    mirrored: Any = None,
    corner: Any = None,
    maps: Any = None,
    amount: Any = None,
    hidden: Any = None,
) -> tuple[Any, Any]:
    """What `Pictures.batch` gives, from tensors alone, so that JAX can compile it."""
    ops = keras.ops
    height, width = images.shape[1:3]
    row, column = rows, columns = ops.arange(height)[None], ops.arange(width)[None]  # (1 or b, size)
    if corner is not None:
        rows = _reflected(rows + corner[0][:, None], height)
        columns = _reflected(columns + corner[1][:, None], width)
    if mirrored is not None:  # before the crop: the window lies in the mirror image
        columns = ops.where(mirrored[:, None], width - 1 - columns, columns)
    batch = images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
    if maps is not None:
        batch = warp(batch, maps)
    if amount is not None:
        lighter = ops.cast(batch, "int16") + amount[:, None, None, None]
        batch = ops.cast(ops.clip(lighter, 0, 255), "uint8")
    if hidden is not None:
        top, bottom, left, right = (edge[:, None] for edge in hidden)
        inside = ((row >= top) & (row < bottom))[:, :, None] & ((column >= left) & (column < right))[:, None]
        batch = ops.where(inside[..., None], ops.full_like(batch, GREY), batch)
    if side is not None:
        pixels = ops.cast(batch, "float32")
        pixels = ops.image.resize(pixels, (side, side), antialias=True, data_format="channels_last")
        batch = ops.cast(ops.round(pixels), "uint8")
    return batch, targets[index]


def _reflected(places: Any, size: int) -> Any:
    """Places on a line of `size` pixels that is mirrored about its first and its last pixel for ever."""
    last = size - 1
    return last - keras.ops.abs(last - keras.ops.abs(places) % max(1, 2 * last))


def _short(array: np.ndarray) -> np.ndarray:
    """Integers in 32 bits, which JAX would cut them to."""
    return array.astype(np.int32) if array.dtype.kind in "iu" else array
