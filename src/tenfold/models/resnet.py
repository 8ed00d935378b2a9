"""Residual networks for small pictures: the first paper's 6n + 2 layers, and ResNet-18 with a small stem."""

from typing import Annotated, Any

import keras

from tenfold import layers
from tenfold.config.spaces import Among, Range
from tenfold.errors import UsageError, unknown
from tenfold.models import blocks
from tenfold.models.attention import KINDS, attended

SHORTCUTS = ("pad", "projection")
"""How the sum that begins a stage comes by an input of its shape."""


def resnet(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    depth: Annotated[int, Among((14, 20, 32))] = 20,
    width: Annotated[int, Range(8, 32, log=True)] = 16,
    shortcut: str = "pad",
    attention: Annotated[str, Among(KINDS)] = "none",
) -> keras.Model:
    """Three stages of residual blocks on 16, 32 and 64 filters: the first paper's networks for CIFAR-10.

    He et al., arXiv:1512.03385, section 4.2: 0.27 million parameters with 20 layers, 0.85 with 56.

    Args:
        depth: layers, 6n + 2 for n blocks a stage: 8, 14, 20, 32, 44, 56, 110.
        width: filters of the first stage; each stage has twice those of the one before.
        shortcut: where a stage begins, "pad" takes every second pixel and adds empty channels, as the paper
            (its option A); "projection" learns a 1x1 convolution (option B).
        attention: in each block, "none", "se" (squeeze and excitation) or "cbam" (channels, then places).

    Raises:
        UsageError: no such depth, shortcut or attention.
    """
    if depth < 8 or (depth - 2) % 6:
        raise UsageError(f"depth must be 6n + 2: 8, 14, 20, 32, 44, 56 or 110, say. Received: depth={depth}")
    if shortcut not in SHORTCUTS:
        raise UsageError(unknown("shortcut", shortcut, SHORTCUTS))
    inputs, x = blocks.start(image_shape, data_format)
    x = blocks.convolved(x, width, 3, data_format)
    for stage in range(3):
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            x = _residual(x, width * 2**stage, strides, shortcut, attention, data_format)
    return blocks.finished(inputs, x, classes, data_format, f"resnet{depth}")


def resnet18(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[int, Range(16, 64, log=True)] = 64,
    attention: Annotated[str, Among(KINDS)] = "none",
) -> keras.Model:
    """Four stages of two residual blocks on 64, 128, 256 and 512 filters: 11 million parameters.

    He et al., arXiv:1512.03385, table 1, with the stem usual for CIFAR-10: one 3x3 convolution and no pool.

    Args:
        width: filters of the first stage; each stage has twice those of the one before.
        attention: in each block, "none", "se" (squeeze and excitation) or "cbam" (channels, then places).

    Raises:
        UsageError: no such attention.
    """
    inputs, x = blocks.start(image_shape, data_format)
    x = blocks.convolved(x, width, 3, data_format)
    for stage in range(4):
        for block in range(2):
            strides = 2 if stage and not block else 1
            x = _residual(x, width * 2**stage, strides, "projection", attention, data_format)
    return blocks.finished(inputs, x, classes, data_format, "resnet18")


def _residual(
    x: Any, filters: int, strides: int, shortcut: str, attention: str, data_format: layers.DataFormat
) -> Any:
    """Two 3x3 convolutions, added to what they were given."""
    y = blocks.convolved(x, filters, 3, data_format, strides=strides)
    y = blocks.convolved(y, filters, 3, data_format, activation=None)
    y = attended(y, attention, data_format)
    if strides > 1 and shortcut == "pad":
        x = _padded(x, filters, strides, data_format)
    elif strides > 1:
        x = blocks.convolved(x, filters, 1, data_format, strides=strides, activation=None)
    return keras.layers.Activation("relu")(keras.layers.Add()([x, y]))


def _padded(x: Any, filters: int, strides: int, data_format: layers.DataFormat) -> Any:
    """Every second pixel of `x`, and channels of zeros after its own."""
    x = keras.layers.AveragePooling2D(1, strides=strides, data_format=data_format)(x)  # the mean of one pixel
    axis = layers.channel_axis(data_format)
    pads = [(0, 0)] * 4
    pads[axis] = (0, filters - x.shape[axis])
    return keras.ops.pad(x, pads)
