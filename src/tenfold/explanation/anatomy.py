"""A model seen from inside: its maps and features on one pass, and how a class's odds depend on them.

No layer has to be named, and the model is not rebuilt: for the length of a pass, the `call` of its innermost
layers is watched. That reaches into models inside models, and works alike for functional, sequential and
subclassed ones, in either layout, with a softmax at the end or without. Two threads must not look into one
model at the same time.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tenfold.explanation.stages import Record, is_convolution, trace

_NEVER = 1e9  # taken from a score, it leaves a class no probability
_PIXELS = 2**18  # of pictures a pass: 256 of 32 x 32, 5 of 224 x 224


class Anatomy:
    """What is inside a model, found by watching it look at one empty picture.

    Args:
        model: a Keras model of pixels 0 to 255, (n, height, width, channels), to logits or softmax.
        shape: (height, width, channels) of the pictures.

    Attributes:
        model: the same.
        stages: its resolutions from the first convolution on, in the order in which they are reached; the
            last one holds the most meaning. Empty where the model has no convolution.
        filters: the first convolution, or None.
        head: the last dense layer, or None.
    """

    def __init__(self, model: keras.Model, shape: tuple[int, int, int]):
        self.model = model
        self._leaves = _leaves(model)
        records: list[Record] = []

        def note(layer: Any, inputs: Any, outputs: Any) -> Any:
            first = inputs[0] if isinstance(inputs, list | tuple) else inputs  # a sum's parts have one shape
            if hasattr(first, "shape") and hasattr(outputs, "shape"):
                records.append(Record(layer, tuple(first.shape), tuple(outputs.shape)))
            return outputs

        with _watched(self._leaves, note), _without_gradients():
            model(np.zeros((1, *shape), np.float32), training=False)
        ran = [record.layer for record in records]
        self.stages = trace(records, shape[:2])
        self.filters = next((layer for layer in ran if is_convolution(layer)), None)
        self.head = next((layer for layer in reversed(ran) if isinstance(layer, keras.layers.Dense)), None)
        self._end = ran[-1] if ran else None

    def forward(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and features of pictures.

        Args:
            images: (n, h, w, c), pixels 0 to 255.

        Returns:
            float32 (n, classes), and float32 (n, d): what the last dense layer is given; of a model without
            one, the means of its last maps.
        """
        parts = [self._features(images[rows]) for rows in _batches(images)]
        probabilities, features = (np.concatenate(part) for part in zip(*parts, strict=True))
        return probabilities, features

    def _features(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kept: dict[str, Any] = {}

        def keep(layer: Any, inputs: Any, outputs: Any) -> Any:
            kept["features"] = inputs if layer is self.head else outputs
            return outputs

        source = self.head or (self.stages[-1].layer if self.stages else None)
        with _watched([source] if source else [], keep), _without_gradients():
            scores = _array(self._scores(images))
        features = _array(kept["features"]) if kept else scores
        if not self.head and self.stages:
            features = self.stages[-1].channels_last(features).mean(axis=(1, 2))
        return softmax(scores), features.reshape(len(features), -1)

    def maps(self, images: np.ndarray) -> list[np.ndarray]:
        """What each stage makes of a few pictures (n, h, w, c): float32 (n, rows, columns, channels)."""
        kept: dict[int, Any] = {}
        with _watched(self._tapped, _keeping(kept)), _without_gradients():
            self._scores(images)
        return [stage.channels_last(_array(kept[id(stage.layer)])) for stage in self.stages]

    def derivatives(
        self, images: np.ndarray, classes: np.ndarray
    ) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
        """The maps of every stage, and how the odds of a class change with them.

        Args:
            images: (n, h, w, c), pixels 0 to 255.
            classes: int (n,), the class to explain for each picture.

        Yields:
            Batch by batch, for each stage maps and derivatives, both float32 (m, rows, columns, channels).
        """
        for rows in _batches(images):
            found = _DERIVATIVES[keras.backend.backend()](self, images[rows], classes[rows])
            yield [
                (stage.channels_last(_array(maps)), stage.channels_last(_array(slopes)))
                for stage, maps, slopes in zip(self.stages, *found, strict=True)
            ]

    @property
    def _tapped(self) -> list[Any]:
        return [stage.layer for stage in self.stages]

    def _scores(self, images: Any) -> Any:
        """The model's output, taken before a softmax at its end: there, a sure answer has no slope left."""
        softmax_layer = isinstance(self._end, keras.layers.Softmax)
        skipped = _watched([self._end] if softmax_layer else [], lambda layer, inputs, outputs: inputs)
        with skipped, _linear(self._end):
            return self.model(keras.ops.convert_to_tensor(images, "float32"), training=False)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities, float32 (n, classes), of logits."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _leaves(layer: Any) -> list[Any]:
    """The innermost layers of a model, each once."""
    inner = getattr(layer, "layers", None)
    found = [leaf for child in inner for leaf in _leaves(child)] if inner else [layer]
    return list({id(leaf): leaf for leaf in found}.values())


def _batches(images: np.ndarray) -> Iterator[slice]:
    size = max(1, _PIXELS // int(np.prod(images.shape[1:3])))
    return (slice(start, start + size) for start in range(0, len(images), size))


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float32)


Watch = Callable[[Any, Any, Any], Any]
"""Called with a layer, its first input and its output; returns what shall come out instead."""


@contextlib.contextmanager
def _watched(layers: Iterable[Any], watch: Watch) -> Iterator[None]:
    layers = list(layers)

    def watching(layer: Any) -> Callable[..., Any]:
        call = layer.call
        return lambda *args, **options: watch(layer, args[0] if args else None, call(*args, **options))

    for layer in layers:
        # Into the instance itself: Keras' own attributes and torch's modules would track what they are given.
        vars(layer)["call"] = watching(layer)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["call"]


def _keeping(kept: dict[int, Any]) -> Watch:
    def keep(layer: Any, inputs: Any, outputs: Any) -> Any:
        kept[id(layer)] = outputs
        return outputs

    return keep


@contextlib.contextmanager
def _linear(layer: Any) -> Iterator[None]:
    """A layer without its softmax, if it has one."""
    if getattr(layer, "activation", None) is not keras.activations.softmax:
        yield
        return
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = keras.activations.softmax


def _without_gradients() -> contextlib.AbstractContextManager[Any]:
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def _total(scores: Any, classes: np.ndarray) -> Any:
    """The logarithms of the odds of the wanted classes, added up: pictures do not influence each other, so
    each keeps its own derivatives.

    The score alone, which the papers take, means little by itself: what raises all scores alike changes no
    probability, and of two classes one may be known by what speaks against the other.
    """
    wanted = keras.ops.one_hot(classes, scores.shape[-1], dtype=scores.dtype)
    others = keras.ops.logsumexp(scores - _NEVER * wanted, axis=-1)
    return keras.ops.sum(keras.ops.sum(scores * wanted, axis=-1) - others)


Found = tuple[Sequence[Any], Sequence[Any]]


def _by_torch(anatomy: Anatomy, images: np.ndarray, classes: np.ndarray) -> Found:
    import torch

    kept: dict[int, Any] = {}
    with torch.enable_grad(), _watched(anatomy._tapped, _keeping(kept)):
        # The pictures ask for derivatives, as a model whose weights are all frozen would not.
        pixels = keras.ops.convert_to_tensor(images, "float32").requires_grad_()
        total = _total(anatomy._scores(pixels), classes)
        maps = [kept[id(layer)] for layer in anatomy._tapped]
        slopes = torch.autograd.grad(total, maps, materialize_grads=True)
    return [item.detach() for item in maps], slopes


def _by_tensorflow(anatomy: Anatomy, images: np.ndarray, classes: np.ndarray) -> Found:
    import tensorflow as tf

    kept: dict[int, Any] = {}
    pixels = keras.ops.convert_to_tensor(images, "float32")
    with tf.GradientTape() as tape, _watched(anatomy._tapped, _keeping(kept)):
        tape.watch(pixels)
        total = _total(anatomy._scores(pixels), classes)
    maps = [kept[id(layer)] for layer in anatomy._tapped]
    return maps, tape.gradient(total, maps, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _by_jax(anatomy: Anatomy, images: np.ndarray, classes: np.ndarray) -> Found:
    """JAX knows no derivative by a value on the way, so something is added to each map: nothing."""
    import jax

    kept: dict[int, Any] = {}
    with _watched(anatomy._tapped, _keeping(kept)):
        anatomy._scores(images)
    maps = [kept[id(layer)] for layer in anatomy._tapped]

    def total(added: list[Any]) -> Any:
        extra = {id(layer): more for layer, more in zip(anatomy._tapped, added, strict=True)}
        with _watched(anatomy._tapped, lambda layer, inputs, outputs: outputs + extra[id(layer)]):
            return _total(anatomy._scores(images), classes)

    return maps, jax.grad(total)([keras.ops.zeros_like(item) for item in maps])


_DERIVATIVES = {"torch": _by_torch, "tensorflow": _by_tensorflow, "jax": _by_jax}
