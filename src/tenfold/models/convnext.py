"""ConvNeXt, small: a residual network with the habits of transformers."""

from typing import Annotated, Any

import keras

from tenfold import layers
from tenfold.config.spaces import Range
from tenfold.models import blocks


def convnext(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[int, Range(16, 64, log=True)] = 64,
    depth: Annotated[int, Range(1, 3)] = 2,
    patch: int = 2,
    kernel: int = 7,
) -> keras.Model:
    """Three stages of blocks on 64, 128 and 256 channels: 1.5 million parameters.

    After Liu et al., arXiv:2201.03545, with patches of two pixels and three stages for small pictures. Layer
    scale, stochastic depth and biases are left out: they are for deeper networks and longer runs.

    Args:
        width: channels of the first stage; each stage has twice those of the one before.
        depth: blocks a stage.
        patch: side in pixels of the patches that the stem makes of a picture.
        kernel: side of the kernels that mix places.
    """
    inputs, x = blocks.start(image_shape, data_format)
    x = _normed(blocks.convolution(x, width, patch, data_format, strides=patch), data_format)
    for stage in range(3):
        if stage:
            x = blocks.convolution(_normed(x, data_format), width * 2**stage, 2, data_format, strides=2)
        for _ in range(depth):
            x = _block(x, kernel, data_format)
    x = keras.layers.GlobalAveragePooling2D(data_format=data_format)(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    return keras.Model(inputs, blocks.logits(x, classes), name="convnext")


def _block(x: Any, kernel: int, data_format: layers.DataFormat) -> Any:
    """A convolution a channel, a norm, and two 1x1 convolutions, four times as wide between."""
    channels = x.shape[layers.channel_axis(data_format)]
    y = _normed(blocks.depthwise(x, kernel, data_format), data_format)
    y = blocks.convolution(y, 4 * channels, 1, data_format)
    y = keras.layers.Activation("gelu")(y)
    return keras.layers.Add()([x, blocks.convolution(y, channels, 1, data_format)])


def _normed(x: Any, data_format: layers.DataFormat) -> Any:
    return layers.layer_normalization(data_format, epsilon=1e-6)(x)
