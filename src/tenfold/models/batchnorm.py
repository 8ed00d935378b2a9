"""The classic with batch norm: convolutions of 64, 128, 256 filters, two dense layers with dropout."""

from typing import Annotated

import keras

from tenfold import layers
from tenfold.config.spaces import Range


def batchnorm(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[int, Range(32, 96, log=True)] = 64,
    growth: Annotated[float, Range(1.0, 2.0)] = 2,
    dropout: Annotated[float, Range(0.0, 0.6)] = 0.5,
    norm: bool = True,
) -> keras.Model:
    """(conv - batch norm - pool) three times, dense 256, dense 128, softmax: 1,455,626 parameters.

    `width` is the filters of the first block, and each block has `growth` times those of the one before;
    `dropout` follows each dense layer. Without `norm` the batch norm is left out, to see what it does.
    """
    inputs, x = layers.pictures(image_shape, data_format, scale=1 / 255, offset=0)
    for filters in (width, round(width * growth), round(width * growth**2)):
        x = layers.convolution(filters, 3, data_format, padding="same", activation="relu")(x)
        if norm:
            x = layers.batch_normalization(data_format)(x)
        x = keras.layers.MaxPooling2D(2, data_format=data_format)(x)
    x = keras.layers.Flatten(data_format=data_format)(x)
    x = keras.layers.Dense(256, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="batchnorm")
