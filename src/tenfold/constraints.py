"""Constraints on weights that Keras lacks."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("tenfold")
class Mirrored(keras.constraints.Constraint):
    """Convolution kernels in mirrored pairs: for a mirrored picture a layer gives mirrored maps.

    The filters of the second half are those of the first, left and right exchanged, and see the halves of
    the channels exchanged as well. For the mirrored picture, stacked layers of this kind then give the
    mirrored maps of the picture itself, their halves exchanged: they are equivariant to the mirror. What such
    a network learns from a picture it knows of the mirrored one, too, with half as many weights of its own
    and the same arithmetic. What follows may still tell left from right, for it may weigh the halves as it
    likes.

    It is a projection onto such kernels. `optimizers.ConvMuon` lays it over gradients as well, so that a
    step has the full length among them.

    Sources: Cohen and Welling, "Group Equivariant Convolutional Networks" (arXiv:1602.07576), whose
    regular representation of the group of two elements this is.

    Args:
        alone: how many of the input channels, the first ones, are their own mirror images; the others make
            the two halves. 0 behind a layer of this kind.

    Example:
        >>> keras.layers.Conv2D(64, 3, padding="same", kernel_constraint=Mirrored())  # doctest: +SKIP
    """

    def __init__(self, alone: int = 0):
        self.alone = alone

    def __call__(self, kernel: Any) -> Any:
        """The nearest mirrored kernel.

        Args:
            kernel: (height, width, channels, filters). Where they make no pairs, the last one is its own
                mirror image.
        """
        kernel = keras.ops.convert_to_tensor(kernel)
        mirrored = _exchanged(_exchanged(keras.ops.flip(kernel, axis=1), 2, self.alone), 3, 0)
        return (kernel + mirrored) / 2

    def get_config(self) -> dict[str, Any]:
        return {"alone": self.alone}


def _exchanged(kernel: Any, axis: int, alone: int) -> Any:
    """The halves of an axis in the other order, but for its first `alone` places, and a last odd one."""
    half = (kernel.shape[axis] - alone) // 2
    places = [alone, alone + half, alone + 2 * half]
    kept, first, second, odd = keras.ops.split(kernel, places, axis=axis)
    return keras.ops.concatenate([kept, second, first, odd], axis=axis)
