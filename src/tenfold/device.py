"""Training pictures that live on the accelerator, where their batches are cut out and changed."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tenfold import pixels


class Pictures:
    """All training pictures and their targets, as torch's or JAX's tensors on the device that Keras uses.

    A batch is made there in one gather, which selects, mirrors and crops, and only what was drawn for it
    travels. Jordan's airbench (arXiv:2404.00498) keeps its pictures so; on a processor it gains nothing.
    All but `pixels.retouch` gives the very pixels that `augmentation.apply` gives.

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
            changes: the fields of an `augmentation.Changes` for b pictures; those of `pixels.RETOUCHES`
                under torch only, those that mix pictures for float targets only.

        Returns:
            uint8 (b, height, width, 3) and (b, ...), tensors on the device.
        """
        drawn = {name: keras.ops.convert_to_tensor(a) for name, a in changes.items() if a is not None}
        place = keras.ops.convert_to_tensor(_short(index))
        return self._make(self._images, self._targets, place, drawn, side=side)


def _make(
    images: Any, targets: Any, index: Any, drawn: Mapping[str, Any], *, side: int | None
) -> tuple[Any, Any]:
    """What `Pictures.batch` gives, from tensors alone, so that JAX can compile it."""
    ops = keras.ops
    height, width = images.shape[1:3]
    rows, columns = ops.arange(height)[None], ops.arange(width)[None]  # (1 or b, size)
    if "corner" in drawn:
        rows = _reflected(rows + drawn["corner"][0][:, None], height)
        columns = _reflected(columns + drawn["corner"][1][:, None], width)
    if "mirrored" in drawn:  # before the crop: the window lies in the mirror image
        columns = ops.where(drawn["mirrored"][:, None], width - 1 - columns, columns)
    if "upended" in drawn:
        rows = ops.where(drawn["upended"][:, None], height - 1 - rows, rows)
    batch, labels = images[index[:, None, None], rows[:, :, None], columns[:, None, :]], targets[index]
    retouches = {name: drawn[name] for name in pixels.RETOUCHES if name in drawn}
    if retouches:
        batch = pixels.retouch(batch, **retouches)
    if "amount" in drawn:
        lighter = ops.cast(batch, "int16") + drawn["amount"][:, None, None, None]
        batch = ops.cast(ops.clip(lighter, 0, 255), "uint8")
    for name in ("hidden", "erased"):
        if name in drawn:
            batch = ops.where(_inside(batch, drawn[name]), ops.full_like(batch, pixels.GREY), batch)
    if "partner" in drawn:
        batch, labels = _mixed(batch, labels, drawn["partner"], drawn["share"], drawn.get("pasted"))
    if side is not None:
        whole = ops.cast(batch, "float32")
        whole = ops.image.resize(whole, (side, side), antialias=True, data_format="channels_last")
        batch = ops.cast(ops.round(whole), "uint8")
    return batch, labels


def _inside(batch: Any, rectangles: Any) -> Any:
    """Which pixels lie in rectangles (4, b): bool (b, height, width, 1)."""
    height, width = batch.shape[1:3]
    row, column = keras.ops.arange(height)[None], keras.ops.arange(width)[None]
    top, bottom, left, right = (edge[:, None] for edge in rectangles)
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    return rows[:, :, None, None] & columns[:, None, :, None]


def _mixed(batch: Any, labels: Any, partner: Any, share: Any, pasted: Any) -> tuple[Any, Any]:
    """Pictures and labels mixed with those of their partners; see `augmentation.Changes`."""
    ops = keras.ops
    own = ops.reshape(share, (-1, *[1] * (len(labels.shape) - 1)))
    labels = own * labels + (1 - own) * labels[partner]
    if pasted is not None:
        return ops.where(_inside(batch, pasted), batch[partner], batch), labels
    kept = ops.cast(ops.round(256 * share), "int32")[:, None, None, None]
    whole = ops.cast(batch, "int32")
    return ops.cast((whole * kept + whole[partner] * (256 - kept) + 128) // 256, "uint8"), labels


def _reflected(places: Any, size: int) -> Any:
    """Places on a line of `size` pixels that is mirrored about its first and its last pixel for ever."""
    last = size - 1
    return last - keras.ops.abs(last - keras.ops.abs(places) % max(1, 2 * last))


def _short(array: np.ndarray) -> np.ndarray:
    """Integers in 32 bits, which JAX would cut them to."""
    return array.astype(np.int32) if array.dtype.kind in "iu" else array
