"""VGG: nothing but 3x3 convolutions and pools, here with batch norm."""

from typing import Annotated

import keras

from tenfold import layers
from tenfold.config.spaces import Among, Range
from tenfold.errors import UsageError, unknown
from tenfold.models import blocks

_GROUPS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    depth: Annotated[int, Among((11, 13, 16))] = 16,
    width: Annotated[int, Range(16, 64, log=True)] = 64,
) -> keras.Model:
    """Five groups of 3x3 convolutions, pools between them, one dense layer: 14.7 million parameters.

    Simonyan and Zisserman, arXiv:1409.1556, with a batch norm after each convolution (Ioffe and Szegedy,
    arXiv:1502.03167) in place of pretraining, and without the two wide dense layers, which 32-pixel pictures
    leave no use for. After the fifth group the mean of all places stands for the last pool: the maxima of 512
    channels make a vector so long that a rate of 0.1 throws the dense layer about, and nothing is learnt.

    Args:
        depth: layers as the paper counts them, the dense ones left out here included: 11, 13, 16 or 19.
        width: filters of the first group, twice as many in each of the next two, eight times from the fourth.

    Raises:
        UsageError: no such depth.
    """
    if depth not in _GROUPS:
        raise UsageError(unknown("depth of vgg", str(depth), map(str, _GROUPS)))
    inputs, x = blocks.start(image_shape, data_format)
    for group, convolutions in enumerate(_GROUPS[depth]):
        if group:
            # "same", so that pictures of fewer than 16 pixels have something left for the last pool
            x = keras.layers.MaxPooling2D(2, padding="same", data_format=data_format)(x)
        for _ in range(convolutions):
            x = blocks.convolved(x, width * min(2**group, 8), 3, data_format)
    return blocks.finished(inputs, x, classes, data_format, f"vgg{depth}")
