"""ConvMixer: patches, then convolutions that mix either places or channels, at one resolution throughout."""

from typing import Annotated, Any

import keras

from tenfold import layers
from tenfold.config.spaces import Range
from tenfold.models import blocks


def convmixer(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    width: Annotated[int, Range(64, 256, log=True)] = 256,
    depth: Annotated[int, Range(2, 8)] = 8,
    patch: int = 2,
    kernel: int = 3,
) -> keras.Model:
    """Patches, then `depth` times a convolution a channel, added to its input, and a 1x1 convolution.

    ConvMixer-256/8 of Trockman and Kolter, arXiv:2201.09792; as there, norms come after activations.
    Convolutions have no biases: the norms' offsets before them do what those would.

    Args:
        width: channels.
        depth: blocks.
        patch: side of a patch in pixels; 1 is the paper's best for CIFAR-10, at four times the work.
        kernel: side of the kernels that mix places. The paper's 5 to 9 are better and on a processor several
            times slower: torch has no quick way to the gradient of such kernels.
    """

    def settled(x: Any) -> Any:
        return blocks.normed(keras.layers.Activation("gelu")(x), data_format, None)

    inputs, x = blocks.start(image_shape, data_format)
    x = settled(blocks.convolution(x, width, patch, data_format, strides=patch))
    for _ in range(depth):
        x = keras.layers.Add()([x, settled(blocks.depthwise(x, kernel, data_format))])
        x = settled(blocks.convolution(x, width, 1, data_format))
    return blocks.finished(inputs, x, classes, data_format, "convmixer")
