"""A small modern network that learns CIFAR-10 in few epochs."""

from typing import Annotated, Any

import keras

from tenfold import constraints, layers
from tenfold.config.spaces import Range

SCALE, OFFSET = 1 / 64, -2.0  # pixels to about zero mean and unit deviation
_PATCH, _COLOURS = 2, 3  # side and channels of what the whitening sees
_WHITE = 2 * _PATCH**2 * _COLOURS  # its filters
_TRAINING_FLOPS = 0.68e9 / 32**2  # of a training step at width 1, for one pixel


def fast(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    stem: Annotated[int, Range(32, 96, log=True)] = 64,
    width: Annotated[float, Range(0.5, 1.25)] = 1.0,
    depth: Annotated[int, Range(2, 3)] = 2,
    head_scale: float = 1 / 9,
    mirror: bool = False,
) -> keras.Model:
    """A frozen whitening convolution, three blocks of convolutions, a global max pool, scaled logits.

    After Jordan's airbench94 and, with `depth` 3, airbench96 (arXiv:2404.00498), themselves after Page's
    ResNet-9 for DAWNBench. The layer named "whitening" has no use until `whiten` has set it from the training
    pictures.

    Args:
        stem: filters of the first block.
        width: scales the filters of the second and third block, 256 each at 1.
        depth: convolutions of a block, 2 or more; from the third on, each is added to what it was given. A
            run by the clock takes what `fitting` gives where its settings name neither width nor depth.
        head_scale: multiplies the logits, which softens the first steps.
        mirror: train kernels as mirrored pairs (`constraints.Mirrored`), and take overlapping pools where
            others would leave out a last column. What comes of it is a model like any other.
    """
    inputs, x = layers.pictures(image_shape, data_format, scale=SCALE, offset=OFFSET)
    x = keras.layers.Conv2D(
        _WHITE, _PATCH, use_bias=False, data_format=data_format, name="whitening", trainable=False
    )(x)
    x = keras.layers.Activation("gelu")(x)
    wide = max(8, round(256 * width / 8) * 8)
    for filters in (stem, wide, wide):
        x = _block(x, filters, depth, data_format, mirror)
    x = keras.layers.GlobalMaxPooling2D(data_format=data_format)(x)
    x = keras.layers.Dense(classes, use_bias=False, dtype="float32")(x)
    outputs = keras.layers.Rescaling(head_scale, dtype="float32", name="logits")(x)
    model = keras.Model(inputs, outputs, name="fast")
    if mirror:
        _mirror(model)
    return model


def fitting(flops: float, pixels: int) -> dict[str, float | int | bool]:
    """The `stem`, `width`, `depth` and `mirror` that learn most in a given time.

    A small network sees more pictures, a large one more in each. Mirrored kernels gain where every picture is
    seen ten times or less, and lose where it is seen thirty times.

    Args:
        flops: floating-point operations that fit into the time.
        pixels: of all training pictures together.
    """
    passes = flops / (pixels * _TRAINING_FLOPS)  # epochs that a network of width 1 would get
    if passes < 12:  # as the rest, between what was measured on CIFAR-10: docs/log.md
        width = 0.5 if passes < 2.5 else 0.75 if passes < 5 else 1.0
        return {"stem": 64, "width": width, "depth": 2, "mirror": True}
    stem, width = (64, 1.0) if passes < 60 else (96, 1.25)
    return {"stem": stem, "width": width, "depth": 3, "mirror": False}


def _block(x: Any, filters: int, depth: int, data_format: layers.DataFormat, mirror: bool) -> Any:
    for convolution in range(depth):
        before = x
        x = layers.convolution(filters, 3, data_format, padding="same", use_bias=False)(x)
        pool = None
        if convolution == 0:
            sides = x.shape[2:] if data_format == "channels_first" else x.shape[1:3]
            # Pools of two by two would leave out a last column, which in the mirror is the first.
            high, wide = (2 + side % 2 if mirror else 2 for side in sides)
            pool = high, wide
        added = before if convolution >= 2 else None
        x = layers.norm_gelu(x, data_format, pool=pool, before=added, momentum=0.6, epsilon=1e-5)
    return x


def _mirror(model: keras.Model) -> None:
    """Has the kernels behind the whitening start, and stay, mirrored.

    The constraint is laid on the variables alone: a layer would save it, and such a file asks for Tenfold.
    """
    alone = layers.own_mirror(_PATCH, _COLOURS)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.trainable:
            layer.kernel.constraint = constraints.Mirrored(alone)
            # The mean of two draws has less spread than each.
            layer.kernel.assign(2**0.5 * layer.kernel.constraint(layer.kernel))
            alone = 0


def whiten(model: keras.Model, images: Any) -> None:
    """Sets the whitening layer from training pictures, uint8 (n, height, width, 3); 500 suffice."""
    mirrored = any(getattr(weight, "constraint", None) for weight in model.trainable_weights)
    kernel = layers.whitening(images.astype("float32") * SCALE + OFFSET, _PATCH, mirrored=mirrored)
    model.get_layer("whitening").set_weights([kernel])
