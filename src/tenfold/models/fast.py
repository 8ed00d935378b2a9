"""A small modern network that learns CIFAR-10 in few epochs."""

from typing import Any

import keras

from tenfold import layers

SCALE, OFFSET = 1 / 64, -2.0  # pixels to about zero mean and unit deviation


def fast(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: float = 1.0,
    head_scale: float = 1 / 9,
) -> keras.Model:
    """A frozen whitening convolution, three blocks of two convolutions, a global max pool, scaled logits.

    After Jordan's airbench94 (arXiv:2404.00498), itself after Page's ResNet-9 for DAWNBench. The layer named
    "whitening" has no use until `whiten` has set it from the training pictures.

    Args:
        width: scales the filters of the blocks: 64, 256, 256 at 1.
        head_scale: multiplies the logits, which softens the first steps.
    """
    inputs, x = layers.pictures(image_shape, data_format, scale=SCALE, offset=OFFSET)
    x = keras.layers.Conv2D(24, 2, data_format=data_format, name="whitening", trainable=False)(x)
    x = keras.layers.Activation("gelu")(x)
    for filters in (64, 256, 256):
        x = _block(x, max(8, round(filters * width / 8) * 8), data_format)
    x = keras.layers.GlobalMaxPooling2D(data_format=data_format)(x)
    x = keras.layers.Dense(classes, use_bias=False, dtype="float32")(x)
    outputs = keras.layers.Rescaling(head_scale, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name="fast")


def _block(x: Any, filters: int, data_format: layers.DataFormat) -> Any:
    for convolution in range(2):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, data_format=data_format)(x)
        if convolution == 0:
            x = keras.layers.MaxPooling2D(2, data_format=data_format)(x)
        x = layers.batch_normalization(data_format, scale=False, momentum=0.6, epsilon=1e-5)(x)
        x = keras.layers.Activation("gelu")(x)
    return x


def whiten(model: keras.Model, images: Any) -> None:
    """Sets the whitening layer from training pictures, uint8 (n, height, width, 3); 2,000 suffice."""
    kernel, bias = layers.whitening(images.astype("float32") * SCALE + OFFSET)
    model.get_layer("whitening").set_weights([kernel, bias])
