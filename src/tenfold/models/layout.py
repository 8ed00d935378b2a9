"""A channels_last model, rebuilt with the same weights in the layout and precision that train fastest.

What users write, and what Keras Applications holds, is channels_last; `layers` says why torch trains the
other layout faster. The graph of the model is walked once. Layers with a layout of their own (convolutions,
pools, batch norm) are made anew for channels_first, what works value by value stays in the layout that it is
given, and all else gets its channels last, as it was written. Where the two meet, only strides change. Models
inside the model are taken apart, so that their layers lie beside the others.
"""

import numbers
from collections.abc import Callable
from typing import Any

import keras

from tenfold import layers

_LAYOUTS = frozenset(
    getattr(keras.layers, name)
    for name in (
        *("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"),
        *("MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D"),
        *("SpatialDropout2D", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Flatten"),
    )
)
_POINTWISE = frozenset(
    getattr(keras.layers, name)
    for name in (
        *("Activation", "ReLU", "LeakyReLU", "ELU", "Identity", "Dropout", "AlphaDropout"),
        *("GaussianDropout", "GaussianNoise", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"),
    )
)
_POINTWISE_OPERATIONS = frozenset(
    name
    for names in (
        "Add Subtract Multiply Divide TrueDivide Maximum Minimum",
        "Relu Relu6 LeakyRelu Elu Selu Gelu Silu Sigmoid Tanh HardSigmoid HardSilu Softplus",
    )
    for name in names.split()
)
_ACROSS = ("softmax", "log_softmax", "sparsemax", "glu")  # activations that look along the last axis
_ORIGIN = "__tenfold_origin__"  # saving a model passes over such names

Step = tuple[Any, list[Any], list[Any]]
"""An operation of a graph, and marks of what it takes and of what it gives."""


def relaid(
    model: keras.Model,
    data_format: layers.DataFormat,
    precision: str = "float32",
    *,
    image_shape: tuple[int, ...] | None = None,
    scale: float | None = None,
    logarithm: bool = False,
) -> keras.Model:
    """A model rebuilt layer by layer in another layout or precision, with the same weights.

    Args:
        model: functional or sequential, channels_last, with one input and one output; left as it is.
        data_format: layout to bring it to; its input stays channels last. "channels_first" is for torch.
        precision: Keras dtype policy; under a mixed one the last weights, and what follows, stay float32.
        image_shape: (height, width, channels) of its input; default: as it has it.
        scale: put a layer in front that multiplies pixels by this.
        logarithm: take the logarithm of what it gives.

    Returns:
        The rebuilt model. `original` leads from it back to `model`.

    Raises:
        Whatever a layer raises that cannot be made again from its settings; `likeness.faithful` makes one
        kind of error of that.
    """
    exact = _last_steps(model) if precision != "float32" else frozenset()
    rebuild = _Rebuild(data_format, precision, exact)
    given = model.inputs[0]
    inputs = keras.Input(image_shape or given.shape[1:], dtype=given.dtype, name=rebuild.name(given.name))
    start: Any = inputs
    if scale is not None:
        start = keras.layers.Rescaling(scale, name=rebuild.name("scaling"), dtype=precision)(inputs)
    outputs = _through(model, start, rebuild.call)
    if logarithm:
        outputs = keras.ops.log(keras.ops.maximum(outputs, 1e-7))
    other = keras.Model(inputs, outputs, name=model.name)
    for source, copy in rebuild.pairs:
        _carry(source, copy)
        if not source.trainable:
            copy.trainable = False
    return remember(other, model, rebuild.pairs)


def remember(model: keras.Model, origin: keras.Model, pairs: list[tuple[Any, Any]]) -> keras.Model:
    """Notes down on `model` that it was made of `origin`, with each layer's source and copy; returns it."""
    # Into the instance itself: Keras' own attributes and torch's modules would track what they are given.
    vars(model)[_ORIGIN] = (origin, pairs)
    return model


def original(model: keras.Model) -> keras.Model | None:
    """The model that a rebuilt one was made of, brought to its weights; None for a model that was not."""
    if _ORIGIN not in vars(model):
        return None
    origin, pairs = vars(model)[_ORIGIN]
    for source, copy in pairs:
        _carry(copy, source)
    return origin


def steps(model: keras.Model) -> list[Step]:
    """The operations of a model in the order in which they run, those of models inside it among them."""
    found: list[Step] = []

    def note(operation: Any, *args: Any, **options: Any) -> Any:
        if is_open(operation):
            return _through(operation, args[0], note)
        given = [object() for _ in keras.tree.flatten(operation.output)]
        found.append((operation, keras.tree.flatten((args, options)), given))
        return given if len(given) > 1 else given[0]

    _through(model, object(), note)
    return found


def is_pointwise(activation: Any) -> bool:
    """Whether an activation is one of Keras' that look at each value alone."""
    name = getattr(activation, "__name__", "")
    return getattr(keras.activations, name, None) is activation and name not in _ACROSS


class _Rebuild:
    """One walk: makes a copy of each operation and calls it, and knows how each tensor lies."""

    def __init__(self, data_format: layers.DataFormat, precision: str, exact: frozenset[int]):
        self.turns = data_format == "channels_first"
        self.precision = precision
        self.exact = exact
        self.pairs: list[tuple[Any, Any]] = []
        self._copies: dict[tuple[int, Any], Any] = {}
        self._names: set[str] = set()
        self._first: dict[int, Any] = {}  # tensors that lie channels first, by their ids
        self._turned: dict[int, tuple[Any, Any]] = {}  # tensors, and the same in the other layout

    def name(self, wanted: str) -> str:
        """A name that no other operation has; Keras refuses two of one name."""
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def call(self, operation: Any, *args: Any, **options: Any) -> Any:
        """Calls the copy of an operation on tensors of the new graph."""
        if is_open(operation):
            return _through(operation, args[0], self.call)
        kind, changes, first = self._form(operation, keras.tree.flatten((args, options)))
        copy = self._copy(operation, kind, changes)
        args, options = keras.tree.map_structure(lambda part: self._lay(part, first), (args, options))
        outputs = copy(*args, **options)
        if first:
            spatial = [part for part in keras.tree.flatten(outputs) if len(part.shape) == 4]
            self._first |= {id(part): part for part in spatial}
        return outputs

    def _form(self, operation: Any, given: list[Any]) -> tuple[type, dict[str, Any], bool]:
        """What an operation becomes: its class, changed settings, and whether channels come first."""
        kind: type = type(operation)
        tensors = [part for part in given if _is_tensor(part)]
        if not self.turns or any(len(tensor.shape) != 4 for tensor in tensors):
            return kind, {}, False
        followed = is_pointwise(getattr(operation, "activation", None) or keras.activations.linear)
        if kind in _LAYOUTS and operation.data_format == "channels_last" and followed:
            own = kind is keras.layers.Conv2D and keras.backend.backend() == "torch"
            return layers.PackedConv2D if own else kind, {"data_format": "channels_first"}, True
        if kind is keras.layers.BatchNormalization and operation.axis in (-1, 3):
            # torch's kernel takes no single value a channel; with more, it is the faster one.
            fused = not (operation.renorm or operation.synchronized) and tensors[0].shape[1:3] != (1, 1)
            own = layers.FusedBatchNormalization if fused and keras.backend.backend() == "torch" else kind
            return own, {"axis": 1}, True
        lies_first = any(id(tensor) in self._first for tensor in tensors)
        if kind is keras.layers.Concatenate and operation.axis % 4 and lies_first:
            return kind, {"axis": {1: 2, 2: 3, 3: 1}[operation.axis % 4]}, True
        if kind in _POINTWISE:
            plain = followed and getattr(operation, "noise_shape", None) is None
            return kind, {}, lies_first and plain
        numeric = all(_is_tensor(part) or isinstance(part, numbers.Number | None) for part in given)
        named = kind.__module__.startswith("keras.") and kind.__name__ in _POINTWISE_OPERATIONS
        return kind, {}, lies_first and named and numeric and not isinstance(operation, keras.Layer)

    def _copy(self, operation: Any, kind: Any, changes: dict[str, Any]) -> Any:
        key = (id(operation), kind, *changes.items())
        if key not in self._copies:
            settings = {**operation.get_config(), **changes}
            if "name" in settings:
                settings["name"] = self.name(operation.name)
            layer = isinstance(operation, keras.Layer)
            if layer and "dtype" in settings and not _is_picky(operation):
                settings["dtype"] = "float32" if id(operation) in self.exact else self.precision
            copy = kind.from_config(settings)
            self._copies[key] = copy
            if layer:
                self.pairs.append((operation, copy))
        return self._copies[key]

    def _lay(self, part: Any, first: bool) -> Any:
        """A tensor of pictures with its channels first or last; anything else as it is."""
        if not _is_tensor(part) or len(part.shape) != 4 or (id(part) in self._first) == first:
            return part
        if id(part) not in self._turned:
            order = (3, 1, 2) if first else (2, 3, 1)
            kind = part.dtype if "float" in part.dtype else "float32"  # else it would round on the way
            turned = keras.layers.Permute(order, name=self.name("layout"), dtype=kind)(part)
            self._turned |= {id(part): (part, turned), id(turned): (turned, part)}
            if first:
                self._first[id(turned)] = turned
        return self._turned[id(part)][1]


def _through(model: Any, inputs: Any, call: Callable[..., Any]) -> Any:
    """Runs a model on `inputs` with `call(operation, *args, **options)` in place of each operation."""
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            inputs = call(layer, inputs)
        return inputs
    # What `keras.models.clone_model` runs; that itself does not reach through models inside models.
    outputs = model._run_through_graph(inputs, call_fn=call)
    alone = isinstance(outputs, list | tuple) and len(outputs) == 1
    return outputs[0] if alone else outputs  # as `Functional.call` gives it


def is_open(operation: Any) -> bool:
    """Whether an operation is a model whose graph says all that its call does."""
    known = getattr(type(operation).call, "__qualname__", "") in ("Functional.call", "Sequential.call")
    return known and isinstance(operation, keras.Model)


def _is_tensor(part: Any) -> bool:
    return isinstance(part, keras.KerasTensor)


def _is_picky(layer: Any) -> bool:
    """Whether a layer's arithmetic stays as it is: whole numbers, changes to pictures, a model in code."""
    changes = ".image_preprocessing." in type(layer).__module__
    return changes or "float" not in layer.compute_dtype or isinstance(layer, keras.Model)


def _last_steps(model: keras.Model) -> frozenset[int]:
    """The ids of the operations from the last weights of a model to its end."""
    walked, found = steps(model), set()
    wanted = {id(part) for part in walked[-1][2]}
    for operation, taken, given in reversed(walked):
        if wanted & {id(part) for part in given}:
            found.add(id(operation))
            if not getattr(operation, "weights", ()):
                wanted |= {id(part) for part in taken}
    return frozenset(found)


def _carry(source: Any, copy: Any) -> None:
    if source.weights:
        copy.set_weights(source.get_weights())
    if isinstance(copy, keras.layers.Normalization):
        copy.finalize_state()  # it computes with constants that it makes of its weights
