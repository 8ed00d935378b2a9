"""The classic of one convolution: 12 filters, a pool, a dense layer of 128."""

from typing import Annotated

import keras

from tenfold import layers
from tenfold.config.spaces import Range


def tiny(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    filters: Annotated[int, Range(12, 32, log=True)] = 12,
    units: Annotated[int, Range(64, 256, log=True)] = 128,
) -> keras.Model:
    """conv `filters` 3x3 same - pool - flatten - dense `units` - softmax: 394,970 parameters for CIFAR-10."""
    inputs, x = layers.pictures(image_shape, data_format, scale=1 / 255, offset=0)
    x = layers.convolution(filters, 3, data_format, padding="same", activation="relu")(x)
    x = keras.layers.MaxPooling2D(2, data_format=data_format)(x)
    x = keras.layers.Flatten(data_format=data_format)(x)
    x = keras.layers.Dense(units, activation="relu")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="tiny")
