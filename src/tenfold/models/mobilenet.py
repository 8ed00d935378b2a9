"""MobileNetV2: blocks that are wide inside and narrow between, with one convolution a channel."""

from typing import Annotated, Any

import keras

from tenfold import layers
from tenfold.config.spaces import Range
from tenfold.models import blocks

# Of the paper's table 2: times the channels inside, filters, blocks, strides of the first. The strides of
# the stem and of the second row are 1 for small pictures, where the paper's are 2.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenetv2(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[float, Range(0.25, 1.0)] = 1.0,
) -> keras.Model:
    """Seventeen inverted residual blocks, made for few operations: 2.2 million parameters.

    Sandler et al., arXiv:1801.04381, here with 32-pixel pictures made smaller three times. Its operations are
    few, but they pass through much memory: on a processor it trains slower than they tell.

    Args:
        width: scales all filters, rounded up to eights; the last convolution has 1,280 or more.
    """

    def scaled(filters: int) -> int:
        return -(-round(width * filters) // 8) * 8

    inputs, x = blocks.start(image_shape, data_format)
    x = blocks.convolved(x, scaled(32), 3, data_format, activation="relu6")
    for expansion, filters, count, strides in _STAGES:
        for block in range(count):
            x = _inverted(x, expansion, scaled(filters), 1 if block else strides, data_format)
    x = blocks.convolved(x, scaled(1280) if width > 1 else 1280, 1, data_format, activation="relu6")
    return blocks.finished(inputs, x, classes, data_format, "mobilenetv2")


def _inverted(x: Any, expansion: int, filters: int, strides: int, data_format: layers.DataFormat) -> Any:
    channels = x.shape[layers.channel_axis(data_format)]
    y = x
    if expansion > 1:
        y = blocks.convolved(y, expansion * channels, 1, data_format, activation="relu6")
    y = blocks.depthwise(y, 3, data_format, strides)
    y = blocks.normed(y, data_format, "relu6")
    y = blocks.convolved(y, filters, 1, data_format, activation=None)
    return keras.layers.Add()([x, y]) if strides == 1 and channels == filters else y
