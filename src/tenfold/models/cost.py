"""What a model costs to compute."""

import math
from collections.abc import Iterator
from typing import Any

import keras

_HELD = 2**28  # numbers of four bytes


def flops(model: keras.Model) -> int:
    """Floating-point operations of one forward pass for one picture (a multiply and an add count as two).

    Convolutions of all kinds, dense layers and attention are counted; all else is smaller by orders of
    magnitude. A side of a picture that the model leaves open counts as one pixel, a layer that is called more
    than once as if it were called once, and the inside of layers of other makes not at all.
    """
    return 2 * sum(_products(layer) for layer in _innermost(model) if hasattr(layer, "output"))


def held(model: keras.Model, side: int, most: int = 512) -> int:
    """How many pictures of `side` x `side` pixels may pass forward at once: `most`, or a gigabyte's worth.

    Keras holds what every layer has made until the pass has ended: 19 megabytes for a picture of 32 x 32 in
    MobileNetV2. A model that shows no layers is taken for one that makes 512 numbers of a pixel.
    """
    layers = [layer for layer in _innermost(model) if hasattr(layer, "output")]
    shapes = [made.shape[1:] for layer in layers for made in keras.tree.flatten(layer.output)]
    numbers = sum(map(_count, shapes))
    if not numbers:
        numbers = 512 * side**2
    elif None in model.inputs[0].shape[1:3]:
        numbers *= side**2
    return max(1, min(most, _HELD // numbers))


def _innermost(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _innermost(layer)
        else:
            yield layer


def _products(layer: Any) -> int:
    """Multiplications of one pass through a layer, for one picture."""
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return _attention(layer)
    if isinstance(layer, keras.layers.EinsumDense):
        given, made = layer.equation.split("->")
        sizes = zip(given.split(",")[1], layer.kernel.shape, strict=True)
        summed = [size for letter, size in sizes if letter not in made]
        return math.prod(summed) * _count(layer.output.shape[1:])
    kernels = [
        kernel
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel")
        if (kernel := getattr(layer, name, None)) is not None
    ]
    if not kernels:
        return 0
    shape = layer.output.shape
    first = getattr(layer, "data_format", None) == "channels_first"
    places = _count(shape[2:] if first else shape[1:-1])
    return places * sum(math.prod(kernel.shape) for kernel in kernels)


def _attention(layer: Any) -> int:
    """Four dense layers, the products of queries and keys, and those of their scores and the values."""
    inputs = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
    asking, answering = (_count(given.shape[1:-1]) for given in (inputs[0], inputs[min(1, len(inputs) - 1)]))
    dense = sum(
        count * math.prod(part.kernel.shape)
        for count, part in (
            (asking, layer.query_dense),
            (answering, layer.key_dense),
            (answering, layer.value_dense),
            (asking, layer.output_dense),
        )
    )
    return dense + layer.num_heads * asking * answering * (layer.key_dim + layer.value_dim)


def _count(shape: tuple[int | None, ...]) -> int:
    return math.prod(side or 1 for side in shape)
