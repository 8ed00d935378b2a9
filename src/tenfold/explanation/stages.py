"""The resolutions inside a model, and where the cells of its maps lie on a picture.

Convolutions without padding cut the borders off: the corner cell of the last map may lie a quarter into the
picture. A map that is merely stretched over the picture would point beside the evidence.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Axis:
    """Where the cells of a map lie along one side of the picture.

    Attributes:
        first: pixel under the centre of the first cell.
        step: pixels from one cell to the next.
    """

    first: float = 0.0
    step: float = 1.0


@dataclass(frozen=True)
class Stage:
    """One resolution inside a model.

    Attributes:
        layer: the layer whose output stands for it, the last one that is no bare linear convolution.
        size: rows and columns of its maps, 2 or more each.
        axes: where the rows and the columns lie on the picture.
        channels_first: the layout of its output.
    """

    layer: Any
    size: tuple[int, int]
    axes: tuple[Axis, Axis]
    channels_first: bool

    def channels_last(self, maps: np.ndarray) -> np.ndarray:
        """The layer's output as (n, h, w, channels)."""
        return maps.transpose(0, 2, 3, 1) if self.channels_first else maps


@dataclass(frozen=True)
class Record:
    """A layer that ran, and the shapes of what went in and came out, (n, ...)."""

    layer: Any
    before: tuple[int, ...]
    after: tuple[int, ...]


def is_convolution(layer: Any) -> bool:
    """Whether a layer is a convolution in two directions, of whatever kind."""
    return len(getattr(layer, "kernel_size", ())) == 2


def trace(records: Iterable[Record], size: tuple[int, int]) -> tuple[Stage, ...]:
    """The resolutions that a pass went through, from the first convolution on.

    Args:
        records: the innermost layers in the order in which they ran.
        size: rows and columns of the picture.

    Returns:
        One stage a resolution of 2 x 2 cells or more, in the order in which they were last seen.
    """
    axes = {size: (Axis(), Axis())}
    found: dict[tuple[int, int], Stage] = {}
    channels_first = convolved = False
    for layer, before, after in ((item.layer, item.before, item.after) for item in records):
        channels_first = getattr(layer, "data_format", None) == "channels_first" or (
            channels_first and not hasattr(layer, "data_format")
        )
        if not len(before) == len(after) == 4:
            continue
        (top, left), (rows, columns) = (
            (shape[2:] if channels_first else shape[1:3]) for shape in (before, after)
        )
        given = axes.get((top, left)) or _stretched(size, (top, left))
        axes[rows, columns] = (
            _moved(given[0], layer, 0, top, rows),
            _moved(given[1], layer, 1, left, columns),
        )
        convolved = convolved or is_convolution(layer)
        # What a linear convolution gives is not yet evidence: normalisation and activation follow, and often
        # only after a pool has made it smaller.
        linear = keras.activations.linear
        bare = is_convolution(layer) and getattr(layer, "activation", linear) is linear
        if convolved and min(rows, columns) > 1 and not (bare and (rows, columns) in found):
            found.pop((rows, columns), None)
            found[rows, columns] = Stage(layer, (rows, columns), axes[rows, columns], channels_first)
    return tuple(found.values())


def _stretched(size: tuple[int, int], cells: tuple[int, int]) -> tuple[Axis, Axis]:
    steps = [whole / count for whole, count in zip(size, cells, strict=True)]
    return Axis((steps[0] - 1) / 2, steps[0]), Axis((steps[1] - 1) / 2, steps[1])


def _moved(axis: Axis, layer: Any, side: int, before: int, after: int) -> Axis:
    """Where the cells lie after a layer that makes `after` of `before` cells."""
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if window is not None and after <= before:
        stride = getattr(layer, "strides", (1, 1))[side]
        reach = (window[side] - 1) * getattr(layer, "dilation_rate", (1, 1))[side] + 1
        padded = (
            max((after - 1) * stride + reach - before, 0) // 2
            if getattr(layer, "padding", "valid") == "same"
            else 0
        )
        return Axis(axis.first + axis.step * ((reach - 1) / 2 - padded), axis.step * stride)
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return Axis(axis.first - axis.step * layer.padding[side][0], axis.step)
    if isinstance(layer, keras.layers.Cropping2D):
        return Axis(axis.first + axis.step * layer.cropping[side][0], axis.step)
    scale = before / after
    return Axis(axis.first + axis.step * (scale - 1) / 2, axis.step * scale)
