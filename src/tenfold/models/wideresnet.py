"""Wide residual networks: few layers with many filters, norms before convolutions."""

from typing import Annotated, Any

import keras

from tenfold import layers
from tenfold.config.spaces import Among, Range
from tenfold.errors import UsageError
from tenfold.models import blocks


def wideresnet(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    depth: Annotated[int, Among((10, 16))] = 16,
    widen: Annotated[int, Range(1, 6)] = 4,
    dropout: Annotated[float, Range(0.0, 0.4)] = 0.0,
) -> keras.Model:
    """Three stages of residual blocks on 16, 32, 64 times `widen` filters; WRN-16-4: 2.7 million parameters.

    Zagoruyko and Komodakis, arXiv:1605.07146.

    Args:
        depth: layers, 6n + 4 for n blocks a stage: 10, 16, 22, 28, 40.
        widen: times the filters of a residual network of the first kind; the paper's best, WRN-28-10, has
            depth 28 and widen 10.
        dropout: between the two convolutions of a block.

    Raises:
        UsageError: no such depth.
    """
    if depth < 10 or (depth - 4) % 6:
        raise UsageError(f"depth must be 6n + 4: 10, 16, 22, 28 or 40, say. Received: depth={depth}")
    inputs, x = blocks.start(image_shape, data_format)
    x = blocks.convolution(x, 16, 3, data_format)
    for stage in range(3):
        for block in range((depth - 4) // 6):
            strides = 2 if stage and not block else 1
            x = _block(x, 16 * widen * 2**stage, strides, dropout, data_format)
    x = blocks.normed(x, data_format)
    return blocks.finished(inputs, x, classes, data_format, f"wideresnet{depth}-{widen}")


def _block(x: Any, filters: int, strides: int, dropout: float, data_format: layers.DataFormat) -> Any:
    y = blocks.normed(x, data_format)
    if strides > 1 or x.shape[layers.channel_axis(data_format)] != filters:
        x = blocks.convolution(y, filters, 1, data_format, strides)
    y = blocks.convolution(y, filters, 3, data_format, strides)
    y = blocks.normed(y, data_format)
    if dropout:
        y = keras.layers.Dropout(dropout)(y)
    y = blocks.convolution(y, filters, 3, data_format)
    return keras.layers.Add()([x, y])
