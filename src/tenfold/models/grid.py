"""Kernels whose every value is one that bfloat16 has.

Training in bfloat16 computes with rounded kernels, while the optimizer keeps finer ones. An engine that
answers in bfloat16 rounds them too, but in a place of its own: behind the factors of batch norm, which it
multiplies into the convolution before. Kernels that lie on bfloat16's grid behind those factors are the same
numbers to every engine in every precision; between float32 and bfloat16 only the rounding of what passes
between layers is left.
"""

from collections import Counter, defaultdict

import keras
import numpy as np

from tenfold.models.layout import is_open, steps

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
_OUTPUTS = {  # layers whose outputs a batch norm's factors can go into: the kernel, and its axes of outputs
    keras.layers.Conv2D: ("kernel", slice(3, 4)),
    keras.layers.Dense: ("kernel", slice(1, 2)),
    keras.layers.DepthwiseConv2D: ("kernel", slice(2, 4)),
    keras.layers.SeparableConv2D: ("pointwise_kernel", slice(3, 4)),
}
_LEAST = 1e-6  # of the largest factor of a batch norm: smaller ones are no divisors


def settle(model: keras.Model) -> None:
    """Moves every kernel of a model to the nearest values of bfloat16's grid, in place.

    Where batch norm follows a layer directly, as its only taker, the products of kernel and the norm's
    factors come to lie on the grid; elsewhere the kernels themselves. A second call changes nothing.

    Args:
        model: functional or sequential, in either layout, computing in float32 or with float32 variables.
    """
    norms = _norms(model)
    for layer in model._flatten_layers(include_self=False):
        for name in _KERNELS:
            kernel = getattr(layer, name, None)
            if isinstance(kernel, keras.Variable):
                factors = _factors(layer, name, norms.get(id(layer)))
                on_grid = _rounded(keras.ops.convert_to_numpy(kernel) * factors) / factors
                kernel.assign(on_grid)


def _norms(model: keras.Model) -> dict[int, keras.layers.BatchNormalization]:
    """The batch norm that alone takes what a layer gives, by the layer's id; none for layers called twice."""
    if not is_open(model):  # a model in code has no graph
        return {}
    walked = steps(model)
    calls = Counter(id(operation) for operation, _, _ in walked)
    takers = defaultdict(list)
    for operation, taken, _ in walked:
        for mark in taken:
            takers[id(mark)].append(operation)
    found = {}
    for operation, _, given in walked:
        after = [taker for mark in given for taker in takers[id(mark)]]
        norm = after[0] if len(after) == 1 == calls[id(operation)] else None
        # The pool inside a `layers.NormGelu` comes between.
        if isinstance(norm, keras.layers.BatchNormalization) and not getattr(norm, "pool", None):
            found[id(operation)] = norm
    return found


def _factors(layer: keras.Layer, name: str, norm: keras.layers.BatchNormalization | None) -> np.ndarray:
    """What `norm` multiplies the outputs of a layer's kernel by, in a shape that multiplies the kernel."""
    one = np.ones(1, np.float32)
    known = (found for kind, found in _OUTPUTS.items() if isinstance(layer, kind))
    kernel, outputs = next(known, ("", slice(0)))
    if norm is None or kernel != name or layer.activation is not keras.activations.linear:
        return one
    if norm.axis not in ((1,) if getattr(layer, "data_format", "") == "channels_first" else (-1, 3)):
        return one
    factors = 1 / np.sqrt(keras.ops.convert_to_numpy(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        factors = factors * keras.ops.convert_to_numpy(norm.gamma)
    usable = np.abs(factors) > _LEAST * np.abs(factors).max()
    shape = getattr(layer, name).shape[outputs]
    return np.where(usable, factors, 1).astype(np.float32).reshape(shape)


def _rounded(values: np.ndarray) -> np.ndarray:
    """The nearest values of bfloat16, as float32."""
    short = keras.ops.cast(keras.ops.convert_to_tensor(values), "bfloat16")
    return keras.ops.convert_to_numpy(keras.ops.cast(short, "float32"))
