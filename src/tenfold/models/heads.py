"""The end of a network: its last dense layer, the features that it takes, and a new one in its place."""

from collections import defaultdict
from typing import Any

import keras

from tenfold.errors import UsageError
from tenfold.layers import DataFormat, channel_axis

DROPOUT = 0.5
"""Share of the features that a step of training leaves out, where nobody says otherwise."""

OPTION = "new_head"
"""An option of every architecture, set by transfer learning: the dropout of a head from `attach`."""

STANDARD, DROPPED, LOGITS, DEPTHS = "standard", "dropped", "logits", "depths"

_FEATURES = 1000  # for which the rates of the recipe `transfer` are
_ROOM = 2048  # features of the maps of one depth, at most, where quarters are told apart


def head(model: keras.Model) -> keras.Layer | None:
    """The last dense layer, whose input is what a model has made of a picture; None where there is none."""
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    dense = [layer for layer in dense if len(layer.input.shape) == 2]  # others see single places
    return dense[-1] if dense else None


def attach(features: Any, classes: int, dropout: float = DROPOUT) -> Any:
    """The logits of a new head on some features.

    The layer named "standard" brings all features to mean 0 and one deviation once its `standardise` has seen
    them, so that one learning rate suits every network below. Without weights of their own such norms are
    usual before a linear probe (He et al., arXiv:2111.06377, A.1). The dense layer starts from zeros: it has
    one best solution, and no class is ahead by chance.

    Args:
        features: symbolic tensor (batch, d).
        classes: how many.
        dropout: share of the features that each step leaves out, at least 0 and below 1.

    Returns:
        Symbolic tensor (batch, classes).

    Raises:
        UsageError: `dropout` is out of range.
    """
    if not 0 <= dropout < 1:
        raise UsageError(f"dropout must be at least 0 and below 1. Received: dropout={dropout}")
    x = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=1e-9, trainable=False, dtype="float32", name=STANDARD
    )(features)
    if dropout:
        x = keras.layers.Dropout(dropout, dtype="float32", name=DROPPED)(x)
    return keras.layers.Dense(classes, kernel_initializer="zeros", dtype="float32", name=LOGITS)(x)


def standardise(model: keras.Model, mean: Any, variance: Any) -> None:
    """Sets the layer "standard" of a new head from the mean and variance (d,) of training features.

    A hundredth of the mean variance is added to each: a feature that hardly ever moves would otherwise be
    blown up by the first picture that moves it. The deviation becomes `_FEATURES` / d: a step of Adam moves
    each weight alike, and with features of one size the logits would move the farther the more there are.
    """
    deviation = _FEATURES / len(variance)
    model.get_layer(STANDARD).set_weights([mean, (variance + 0.01 * variance.mean()) / deviation**2])


def features(model: keras.Model) -> Any:
    """What a model makes of a picture before its head: a symbolic tensor (batch, d).

    Raises:
        UsageError: the model does not end in a dense layer on plain features.
    """
    if any(layer.name == STANDARD for layer in model.layers):
        return model.get_layer(STANDARD).input
    last = head(model)
    if last is None or len(last.input.shape) != 2 or last.units != model.output_shape[-1]:
        raise UsageError(
            f"Model {model.name!r} cannot take a new head. Expected: a network that ends in a dense layer of "
            f"its classes. Received: last layer={model.layers[-1].name}"
        )
    return last.input


def body(model: keras.Model) -> keras.Model:
    """All of a model below its head: pictures to `features`. The layers are the model's own."""
    return keras.Model(model.inputs[0], features(model), name=f"{model.name}-body")


def renewed(
    model: keras.Model, classes: int, dropout: float = DROPOUT, data_format: DataFormat = "channels_last"
) -> keras.Model:
    """A model with a new head in the place of its own; the layers below are the model's.

    The new head sees all depths, see `depths`; where one stands already, the other sees what that saw.

    Raises:
        UsageError: as `features` and `attach`.
    """
    known = any(layer.name == STANDARD for layer in model.layers)
    seen = features(model) if known else depths(model, data_format)
    return keras.Model(model.inputs[0], attach(seen, classes, dropout), name=model.name)


def depths(model: keras.Model, data_format: DataFormat = "channels_last") -> Any:
    """What a model makes of a picture at every resolution, and at its end: a symbolic tensor (batch, d).

    Of each resolution these are the last maps, and those that a convolution saw last before them: of each
    quarter their means and maxima, or of the whole where they would fill more than `_ROOM` features. What
    the end of a network has kept serves its own classes; others find more in the layers before, and in the
    places of what they found (Evci et al., "Head2Toe", arXiv:2201.03529).

    Args:
        model: with a head of its own.
        data_format: the layout of its maps.
    """
    end, last, seen, convolved = features(model), {}, defaultdict(list), False
    for layer in keras.Model(model.inputs[0], end).layers:
        kernel = getattr(layer, "kernel", getattr(layer, "depthwise_kernel", None))
        convolution = kernel is not None and len(kernel.shape) == 4
        once = len(layer._inbound_nodes) == 1 and len(layer.output.shape) == 4
        if convolved and convolution and once:
            seen[_size(layer.input, data_format)].append(layer.input)
        convolved = convolved or convolution
        if not convolved or not once:
            continue
        size = _size(layer.output, data_format)
        # A bare convolution says little yet: a norm and an activation follow, often at the next resolution.
        if not (convolution and layer.activation is keras.activations.linear and size in last):
            last[size] = layer.output
    maps = []
    for size in (size for size in last if size != (1, 1)):
        maps += [each for each in seen[size] if each is not last[size]][-1:]
        maps.append(last[size])
    pooled = [
        part
        for number, found in enumerate(maps)
        for part in _pooled(found, f"{DEPTHS}_{number}", data_format)
    ]
    return keras.layers.Concatenate(name=DEPTHS)([end, *pooled]) if pooled else end


def _size(maps: Any, data_format: DataFormat) -> tuple[int, ...]:
    return tuple(maps.shape[2:] if data_format == "channels_first" else maps.shape[1:3])


def _pooled(maps: Any, name: str, data_format: DataFormat) -> list[Any]:
    """Means and maxima (batch, d) of maps (batch, height, width, channels) or as `data_format` says."""
    size = _size(maps, data_format)
    whole = [keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D]
    parted = [keras.layers.AveragePooling2D, keras.layers.MaxPooling2D]
    found = []
    for kind, pool, part in zip(("mean", "most"), whole, parted, strict=True):
        if None in size or min(size) == 1 or 8 * maps.shape[channel_axis(data_format)] > _ROOM:
            found.append(pool(data_format=data_format, name=f"{name}_{kind}")(maps))
            continue
        # Where a side is odd, its halves share the middle.
        sides, steps = [side - side // 2 for side in size], [side // 2 for side in size]
        quarters = part(sides, steps, data_format=data_format, name=f"{name}_{kind}_quarters")(maps)
        found.append(keras.layers.Flatten(data_format=data_format, name=f"{name}_{kind}")(quarters))
    return found


def alone(model: keras.Model) -> keras.Model:
    """A copy of the head that `attach` made, to be trained without what lies below: (batch, 1, 1, d) in.

    Features have the rank of pictures, so that they go where pictures do.
    """
    given = keras.Input((1, 1, features(model).shape[-1]), name="features")
    rates = [layer.rate for layer in model.layers if layer.name == DROPPED]
    logits = attach(keras.layers.Flatten()(given), model.output_shape[-1], rates[0] if rates else 0.0)
    copy = keras.Model(given, logits, name=f"{model.name}-head")
    put(model, copy)
    return copy


def put(source: keras.Model, target: keras.Model) -> None:
    """Gives the head of `target` the weights of that of `source`, both made by `attach`."""
    for name in (STANDARD, LOGITS):
        target.get_layer(name).set_weights(source.get_layer(name).get_weights())
