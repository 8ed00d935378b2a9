"""Attention for convolutional networks: weights for channels and for places, told by the maps themselves."""

from typing import Any

import keras

from tenfold import layers
from tenfold.errors import UsageError, unknown

KINDS = ("none", "se", "cbam")
"""What the option `attention` of an architecture takes."""

_REDUCTION, _LEAST = 8, 4  # channels to a hidden unit; the least hidden units


def attended(x: Any, kind: str, data_format: layers.DataFormat) -> Any:
    """The maps `x`, (batch, height, width, channels) or as `data_format` says, weighed by attention.

    Args:
        kind: "none"; "se", squeeze and excitation; "cbam", the convolutional block attention module.

    Raises:
        UsageError: no such kind.
    """
    if kind not in KINDS:
        raise UsageError(unknown("attention", kind, KINDS))
    if kind == "se":
        return squeeze_and_excitation(x, data_format)
    return convolutional_block_attention(x, data_format) if kind == "cbam" else x


def squeeze_and_excitation(x: Any, data_format: layers.DataFormat) -> Any:
    """Weighs each channel, 0 to 1, by what the means of all channels tell; Hu et al., arXiv:1709.01507."""
    channels = x.shape[layers.channel_axis(data_format)]
    means = keras.layers.GlobalAveragePooling2D(data_format=data_format)(x)
    hidden = keras.layers.Dense(_hidden(channels), activation="relu")(means)
    weights = keras.layers.Dense(channels, activation="sigmoid")(hidden)
    return _weighed(x, weights, channels, data_format)


def convolutional_block_attention(x: Any, data_format: layers.DataFormat) -> Any:
    """Weighs the channels, by their means and maxima, then the places, by those over all channels.

    Woo et al., arXiv:1807.06521; without the batch norm that their code, not their paper, has in the second
    part.
    """
    axis = layers.channel_axis(data_format)
    channels = x.shape[axis]
    hidden = keras.layers.Dense(_hidden(channels), activation="relu")
    answer = keras.layers.Dense(channels)
    pools = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    answers = [answer(hidden(pool(data_format=data_format)(x))) for pool in pools]
    weights = keras.layers.Activation("sigmoid")(keras.layers.Add()(answers))
    x = _weighed(x, weights, channels, data_format)
    maps = [reduce(x, axis=axis, keepdims=True) for reduce in (keras.ops.mean, keras.ops.max)]
    places = keras.layers.Conv2D(
        1, 7, padding="same", activation="sigmoid", use_bias=False, data_format=data_format
    )(keras.layers.Concatenate(axis=axis)(maps))
    return keras.layers.Multiply()([x, places])


def _hidden(channels: int) -> int:
    return max(_LEAST, channels // _REDUCTION)


def _weighed(x: Any, weights: Any, channels: int, data_format: layers.DataFormat) -> Any:
    """`x` times one weight a channel, (batch, channels)."""
    shape = (channels, 1, 1) if data_format == "channels_first" else (1, 1, channels)
    return keras.layers.Multiply()([x, keras.layers.Reshape(shape)(weights)])
