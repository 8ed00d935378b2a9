"""The classic with augmentation: three blocks of convolution, batch norm, pool and dropout."""

from typing import Annotated

import keras

from tenfold import layers
from tenfold.config.spaces import Range


def augmented(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[int, Range(16, 64, log=True)] = 32,
    dropout: Annotated[float, Range(0.0, 0.4)] = 0.25,
) -> keras.Model:
    """(conv - batch norm - pool - dropout) three times, dense 128, dropout, softmax.

    `width` is the filters of the first block and doubles with each; `dropout` follows each block, and
    twice as much follows the dense layer.
    """
    inputs, x = layers.pictures(image_shape, data_format, scale=1 / 255, offset=0)
    for filters in (width, 2 * width, 4 * width):
        x = layers.convolution(filters, 3, data_format, padding="same", activation="relu")(x)
        x = layers.batch_normalization(data_format)(x)
        x = keras.layers.MaxPooling2D(2, data_format=data_format)(x)
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Flatten(data_format=data_format)(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    x = keras.layers.Dropout(min(0.9, 2 * dropout))(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="augmented")
