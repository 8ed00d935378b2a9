"""The classic of three bare convolutions: 32 - 64 - 32, no padding."""

from typing import Annotated

import keras

from tenfold import layers
from tenfold.config.spaces import Range


def plain(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[int, Range(16, 64, log=True)] = 32,
) -> keras.Model:
    """conv 32 - pool - conv 64 - pool - conv 32 - dense 64 - dense 32 - softmax: 73,098 parameters.

    All convolutions are 3x3, valid, ReLU; `width` scales their filters (32 gives 32, 64, 32).
    """
    inputs, x = layers.pictures(image_shape, data_format, scale=1 / 255, offset=0)
    x = keras.layers.Conv2D(width, 3, activation="relu", data_format=data_format)(x)
    x = keras.layers.MaxPooling2D(2, data_format=data_format)(x)
    x = keras.layers.Conv2D(2 * width, 3, activation="relu", data_format=data_format)(x)
    x = keras.layers.MaxPooling2D(2, data_format=data_format)(x)
    x = keras.layers.Conv2D(width, 3, activation="relu", data_format=data_format)(x)
    x = keras.layers.Flatten(data_format=data_format)(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="plain")
