"""What most architectures are made of: how they start, a convolution with its norm, how they end."""

import math
from typing import Any

import keras

from tenfold import layers
from tenfold.models.fast import OFFSET, SCALE


def start(image_shape: tuple[int, int, int], data_format: layers.DataFormat) -> tuple[Any, Any]:
    """The Keras input, and pixels of about zero mean and unit deviation to go on from."""
    return layers.pictures(image_shape, data_format, scale=SCALE, offset=OFFSET)


def convolution(x: Any, filters: int, size: int, data_format: layers.DataFormat, strides: int = 1) -> Any:
    """A convolution without a bias, which a norm before or after it makes good; He's initial kernel."""
    return layers.convolution(
        filters,
        size,
        data_format,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)


def depthwise(x: Any, size: int, data_format: layers.DataFormat, strides: int = 1) -> Any:
    """A convolution of each channel by itself, without a bias."""
    # Keras' he_normal would count all channels as inputs of each kernel, which has but its own.
    initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2) / size)
    return keras.layers.DepthwiseConv2D(
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=initializer,
        data_format=data_format,
    )(x)


def normed(
    x: Any, data_format: layers.DataFormat, activation: str | None = "relu", *, scale: bool = True
) -> Any:
    """Batch norm with the papers' moving average, then the activation, if any."""
    x = layers.batch_normalization(data_format, momentum=0.9, epsilon=1e-5, scale=scale)(x)
    return keras.layers.Activation(activation)(x) if activation else x


def convolved(
    x: Any,
    filters: int,
    size: int,
    data_format: layers.DataFormat,
    *,
    strides: int = 1,
    activation: str | None = "relu",
    scale: bool = True,
) -> Any:
    """Convolution, batch norm, activation."""
    x = convolution(x, filters, size, data_format, strides)
    return normed(x, data_format, activation, scale=scale)


def finished(inputs: Any, x: Any, classes: int, data_format: layers.DataFormat, name: str) -> keras.Model:
    """The model: global average pool, then one dense layer to logits, in float32 whatever the precision."""
    x = keras.layers.GlobalAveragePooling2D(data_format=data_format)(x)
    return keras.Model(inputs, logits(x, classes), name=name)


def logits(x: Any, classes: int) -> Any:
    """The dense layer from features (batch, features) to logits (batch, classes)."""
    return keras.layers.Dense(classes, dtype="float32", name="logits")(x)
