"""A small vision transformer: patches that attend to each other."""

from typing import Annotated, Any

import keras

from tenfold import layers
from tenfold.config.spaces import Among, Range
from tenfold.errors import UsageError
from tenfold.models import blocks


def vit(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    patch: int = 4,
    width: Annotated[int, Among((96, 192))] = 192,
    depth: Annotated[int, Range(2, 8)] = 6,
    heads: int = 3,
    dropout: Annotated[float, Range(0.0, 0.2)] = 0.0,
) -> keras.Model:
    """Six transformer blocks over patches of 4 x 4 pixels: 2.7 million parameters.

    Dosovitskiy et al., arXiv:2010.11929, with the mean of all patches in place of a class token, as Beyer et
    al., arXiv:2205.01580. `data_format` changes nothing: patches have one layout only.

    Args:
        patch: side of a patch in pixels; the pictures' side is a multiple of it.
        width: features of a patch, a multiple of `heads`.
        depth: blocks.
        heads: of attention.
        dropout: at the end of either half of a block.

    Raises:
        UsageError: sides or widths that do not divide.
    """
    height, length, channels = image_shape
    if height % patch or length % patch:
        raise UsageError(
            f"vit cuts pictures into squares. Expected: an --image-size that is a multiple of patch, or "
            f"--model-options patch=N with another N. Received: image_size={height}, patch={patch}"
        )
    if width % heads:
        raise UsageError(f"width must be a multiple of heads. Received: width={width}, heads={heads}")
    rows, columns = height // patch, length // patch
    inputs, x = blocks.start(image_shape, "channels_last")
    x = keras.layers.Reshape((rows, patch, columns, patch, channels))(x)
    x = keras.layers.Permute((1, 3, 2, 4, 5))(x)
    x = keras.layers.Reshape((rows * columns, patch * patch * channels))(x)
    x = keras.layers.EinsumDense(
        "bnp,pd->bnd",
        (rows * columns, width),
        bias_axes="nd",  # one for each patch: this is the position embedding
        bias_initializer=keras.initializers.RandomNormal(stddev=0.02),
        name="patches",
    )(x)
    for _ in range(depth):
        y = _normed(x)
        y = keras.layers.MultiHeadAttention(heads, width // heads, use_bias=False)(y, y)
        x = _added(x, y, dropout)
        y = keras.layers.Dense(4 * width, activation="gelu")(_normed(x))
        x = _added(x, keras.layers.Dense(width)(y), dropout)
    x = keras.layers.GlobalAveragePooling1D()(_normed(x))
    return keras.Model(inputs, blocks.logits(x, classes), name="vit")


def _normed(x: Any) -> Any:
    return keras.layers.LayerNormalization(epsilon=1e-6)(x)


def _added(x: Any, y: Any, dropout: float) -> Any:
    if dropout:
        y = keras.layers.Dropout(dropout)(y)
    return keras.layers.Add()([x, y])
