"""Layers that Keras lacks or does slowly, and the two layouts a network can be built in.

`channels_last` is Keras' own layout and the portable one: stock Keras layers only, opens anywhere.
`channels_first` is the training layout of the torch backend: Keras' torch backend copies a channels_last
tensor before every convolution and pool, but passes channels_first ones through untouched. Pictures
that arrive as (n, height, width, 3) become (n, 3, height, width) by a change of strides alone, so in memory
the channels still lie last, which is what the processor's convolutions want.
The weights of both are the same arrays in the same order.
"""

import functools
from typing import Any, Literal

import keras
import numpy as np

from tenfold import cache

DataFormat = Literal["channels_last", "channels_first"]

_TILE = 32  # pixels of a tile's row
_SMALL = 7  # pixels of the widest map that gains by being packed


def training_format() -> DataFormat:
    """The layout that trains fastest under the running Keras backend."""
    return "channels_first" if keras.backend.backend() == "torch" else "channels_last"


def pictures(
    image_shape: tuple[int, int, int], data_format: DataFormat, *, scale: float, offset: float
) -> Any:
    """The start of every network: pixels 0..255, channels last, brought to `pixel * scale + offset`.

    Args:
        image_shape: (height, width, 3).
        data_format: layout of the layers that follow.

    Returns:
        The Keras input and the tensor to go on from.
    """
    inputs = keras.Input(image_shape, name="image")
    x = inputs
    if data_format == "channels_first":
        x = keras.layers.Permute((3, 1, 2), name="layout")(x)
    return inputs, keras.layers.Rescaling(scale, offset, name="scaling")(x)


def channel_axis(data_format: DataFormat) -> int:
    """Where the channels of maps (batch, ...) are: 1 or -1."""
    return 1 if data_format == "channels_first" else -1


def convolution(
    filters: int, size: int | tuple[int, int], data_format: DataFormat, **options: Any
) -> keras.layers.Conv2D:
    """Keras' convolution, or its packed twin where the layout is torch's training layout."""
    kind = PackedConv2D if data_format == "channels_first" else keras.layers.Conv2D
    return kind(filters, size, data_format=data_format, **options)


@keras.saving.register_keras_serializable("tenfold")
class PackedConv2D(keras.layers.Conv2D):
    """A convolution that lays small maps side by side first, where the processor multiplies in tiles (AMX).

    oneDNN fills a tile with pixels of one row of one map, 16 of them, or 32 for the kernel's gradient: of
    maps of 7 x 7 most of it is empty. With columns of zeros between them the maps of several pictures make
    one wide one, for a copy each way. Forward and backward together take 0.4 to 0.7 of the time for maps of
    7 x 7 and less, in bfloat16; larger ones gain nothing, and are left as they are (docs/log.md).

    Same weights, same output as `keras.layers.Conv2D` within rounding; torch backend, channels_first.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        count, width = inputs.shape[0], inputs.shape[3]
        gap = self.kernel_size[1] // 2
        together = 1
        while together * (width + gap) < _TILE:
            together *= 2
        if not count or count % together or width > _SMALL or not self._packs(inputs):
            return super().convolution_op(inputs, kernel)
        maps = inputs.permute(0, 2, 3, 1).unflatten(0, (-1, together)).transpose(1, 2)
        sheets = maps.new_zeros((*maps.shape[:3], width + gap, maps.shape[4]))
        sheets[:, :, :, :width] = maps
        outputs = super().convolution_op(sheets.flatten(2, 3).permute(0, 3, 1, 2), kernel)
        sheets = outputs.permute(0, 2, 3, 1).unflatten(2, (together, -1))[:, :, :, :width]
        return sheets.transpose(1, 2).flatten(0, 1).permute(0, 3, 1, 2)

    def _packs(self, inputs: Any) -> bool:
        """Whether these inputs, on this processor, in this kind of convolution, gain by it."""
        import torch

        spread = self.kernel_size[1] > 1 and self.kernel_size[1] % 2 == 1 and self.padding == "same"
        plain = self.strides == (1, 1) and self.dilation_rate == (1, 1)
        here = inputs.device.type == "cpu" and inputs.dtype == torch.bfloat16
        return spread and plain and here and _tiles()


@functools.cache
def _tiles() -> bool:
    """Whether torch finds AMX for bfloat16."""
    import torch

    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def batch_normalization(data_format: DataFormat, **options: Any) -> keras.layers.BatchNormalization:
    """Keras' batch norm, or its fused twin where the layout is torch's training layout."""
    if data_format == "channels_first":
        return FusedBatchNormalization(axis=1, **options)
    return keras.layers.BatchNormalization(**options)


@keras.saving.register_keras_serializable("tenfold")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch norm through torch's own kernel: one pass over memory where Keras makes several.

    Same weights, same output as `keras.layers.BatchNormalization` within rounding; torch backend, axis 1.
    The moving variance is torch's unbiased estimate, n / (n - 1) of Keras' for n values a channel.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if inputs.device.type == "meta":  # Keras only asks for the shape
            return super().call(inputs, training=training, mask=mask)
        import torch

        return torch.nn.functional.batch_norm(
            inputs,
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value if self.scale else None,
            self.beta.value if self.center else None,
            training=bool(training) and self.trainable,
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )


def norm_gelu(
    x: Any,
    data_format: DataFormat,
    *,
    pool: tuple[int, int] | None = None,
    before: Any = None,
    **options: Any,
) -> Any:
    """A max pool, batch norm without gamma, a sum and GELU: four layers, or one in torch's training layout.

    Args:
        x: maps in `data_format`.
        pool: height and width of the windows, 2 or 3 each, strides of 2; None pools nothing.
        before: added before the GELU.
        options: of `keras.layers.BatchNormalization`.
    """
    if data_format == "channels_first":
        return NormGelu(pool=pool, axis=1, scale=False, **options)(x, before)
    if pool:
        x = keras.layers.MaxPooling2D(pool, 2)(x)
    x = keras.layers.BatchNormalization(scale=False, **options)(x)
    if before is not None:
        x = keras.layers.Add()([x, before])
    return keras.layers.Activation("gelu")(x)


@keras.saving.register_keras_serializable("tenfold")
class NormGelu(keras.layers.BatchNormalization):
    """What `norm_gelu` names, in as few passes over memory as `kernels.norm_gelu` takes.

    Same weights as the batch norm, same output as the four layers within rounding; torch backend, axis 1. The
    moving variance is the unbiased estimate, as `FusedBatchNormalization`'s.
    """

    def __init__(self, *, pool: tuple[int, int] | None = None, **options: Any):
        super().__init__(**options)
        self.pool = pool and (pool[0], pool[1])

    def build(self, x_shape: tuple[int | None, ...], before_shape: Any = None) -> None:
        super().build(x_shape)

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...], before_shape: Any = None
    ) -> tuple[int | None, ...]:
        if self.pool is None:
            return x_shape
        sides = zip(x_shape[2:], self.pool, strict=True)
        return *x_shape[:2], *[side and (side - window) // 2 + 1 for side, window in sides]

    def call(self, x: Any, before: Any = None, training: bool | None = None) -> Any:
        if x.device.type == "meta":  # Keras only asks for the shape
            return x.new_empty(self.compute_output_shape(tuple(x.shape)))
        from tenfold import kernels

        return kernels.norm_gelu(
            x,
            self.beta.value,
            before,
            self.moving_mean.value,
            self.moving_variance.value,
            pool=self.pool,
            training=bool(training) and self.trainable,
            momentum=1 - self.momentum,
            epsilon=self.epsilon,
            folder=cache.home() / "kernels",
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool": self.pool}


def layer_normalization(data_format: DataFormat, **options: Any) -> keras.layers.LayerNormalization:
    """Keras' layer norm over the channels of each place, or its twin for torch's training layout."""
    if data_format == "channels_first":
        return ChannelNormalization(axis=1, **options)
    return keras.layers.LayerNormalization(**options)


@keras.saving.register_keras_serializable("tenfold")
class ChannelNormalization(keras.layers.LayerNormalization):
    """Layer norm over the channels of (batch, channels, height, width), through torch's own kernel.

    Same weights, same output as `keras.layers.LayerNormalization` of channels that lie last; torch backend,
    axis 1, for which Keras 3.15 hands torch's kernel the last axis. In the training layout the channels lie
    last in memory, so nothing is copied.
    """

    def call(self, inputs: Any) -> Any:
        if inputs.device.type == "meta":  # Keras only asks for the shape
            return inputs
        import torch

        last = inputs.permute(0, 2, 3, 1)
        gamma, beta = self.gamma.value, self.beta.value
        normed = torch.nn.functional.layer_norm(last, gamma.shape, gamma, beta, self.epsilon)
        return normed.permute(0, 3, 1, 2)


def whitening(
    images: np.ndarray, size: int = 2, epsilon: float = 5e-4, *, mirrored: bool = False
) -> np.ndarray:
    """The kernel of a convolution that decorrelates small patches of the training pictures.

    Its filters are the eigenvectors of the patches' covariance over the roots of their eigenvalues, with
    both signs, as in Page's "How to Train Your ResNet" and Jordan's airbench (arXiv:2404.00498). A bias that
    takes the patches' mean away would cost a pass over the largest tensor of a network and gains nothing.

    Args:
        images: (n, height, width, channels), scaled as the convolution sees them; a few hundred suffice.
        size: side of a patch in pixels.
        epsilon: added to the eigenvalues, so that empty directions are not blown up.
        mirrored: take the covariance of the pictures and their mirror images together. Each eigenvector
            then equals its mirror image (`own_mirror` filters, which come first) or its negative, so that
            `constraints.Mirrored(own_mirror(...))` may follow.

    Returns:
        float32 (size, size, channels, 2 * size * size * channels).
    """
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * images.shape[-1])  # h, w, channel
    count = patches.shape[1]
    covariance = np.cov(patches.T) + epsilon * np.eye(count)
    parts = [np.eye(count)]
    if mirrored:
        mirror = np.eye(count).reshape(size, size, -1, count)[:, ::-1].reshape(count, count)
        covariance = (covariance + mirror @ covariance @ mirror) / 2
        parts = [(np.eye(count) + mirror) / 2, (np.eye(count) - mirror) / 2]
    found = []
    for part in parts:  # a projection: what lies outside of it has the eigenvalue 0
        values, vectors = np.linalg.eigh(part @ covariance @ part)
        inside = slice(count - round(np.trace(part)), None)
        half = vectors[:, inside] / np.sqrt(values[inside])  # (patch, filter)
        found += [half, -half]
    return np.concatenate(found, axis=1).reshape(size, size, images.shape[-1], -1).astype(np.float32)


def own_mirror(size: int, channels: int) -> int:
    """How many filters of a mirrored `whitening` are their own mirror images."""
    return 2 * size * channels * ((size + 1) // 2)
