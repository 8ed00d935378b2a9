"""A small network of Inception modules: kernels of several sizes side by side."""

from typing import Annotated, Any

import keras

from tenfold import layers
from tenfold.config.spaces import Range
from tenfold.models import blocks

# Filters of the 1x1 and the 3x3 convolutions of each module; a single number makes the pictures smaller.
_MODULES = (
    (32, 32), (32, 48), 80,
    (112, 48), (96, 64), (80, 80), (48, 96), 96,
    (176, 160), (176, 160),
)  # fmt: skip


def inception(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[float, Range(0.25, 1.25)] = 1.0,
) -> keras.Model:
    """Eight modules of 1x1 beside 3x3 convolutions, batch norm throughout: 1.6 million parameters.

    The small Inception of Zhang et al., arXiv:1611.03530, appendix A, made for pictures of CIFAR-10's size
    after Szegedy et al., arXiv:1409.4842, with the batch norm of Ioffe and Szegedy, arXiv:1502.03167; norms
    have no scale, as ReLU and the next convolution make it good.

    Args:
        width: scales all filters.
    """

    def scaled(filters: int) -> int:
        return max(1, round(width * filters))

    inputs, x = blocks.start(image_shape, data_format)
    x = blocks.convolved(x, scaled(96), 3, data_format, scale=False)
    for module in _MODULES:
        if isinstance(module, tuple):
            x = _module(x, scaled(module[0]), scaled(module[1]), data_format)
        else:
            x = _smaller(x, scaled(module), data_format)
    return blocks.finished(inputs, x, classes, data_format, "inception")


def _module(x: Any, points: int, squares: int, data_format: layers.DataFormat) -> Any:
    parts = [
        blocks.convolved(x, points, 1, data_format, scale=False),
        blocks.convolved(x, squares, 3, data_format, scale=False),
    ]
    return keras.layers.Concatenate(axis=layers.channel_axis(data_format))(parts)


def _smaller(x: Any, filters: int, data_format: layers.DataFormat) -> Any:
    parts = [
        blocks.convolved(x, filters, 3, data_format, strides=2, scale=False),
        keras.layers.MaxPooling2D(3, strides=2, padding="same", data_format=data_format)(x),
    ]
    return keras.layers.Concatenate(axis=layers.channel_axis(data_format))(parts)
