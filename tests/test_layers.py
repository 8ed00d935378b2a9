"""Layers: the fused batch norm against Keras' own, and whitening that whitens."""

import keras
import numpy as np
import pytest

from tenfold import layers

torch_only = pytest.mark.skipif(keras.backend.backend() != "torch", reason="a layer for the torch backend")


@torch_only
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"momentum": 0.6}])
@pytest.mark.parametrize("training", [True, False])
def test_fused_batch_norm_does_what_keras_does(options, training):
    x = np.random.default_rng(0).normal(2, 3, (64, 5, 6, 7)).astype("float32")  # n, c, h, w
    fused = layers.FusedBatchNormalization(axis=1, **options)
    plain = keras.layers.BatchNormalization(axis=1, **options)
    fused.build(x.shape)
    plain.build(x.shape)
    weights = [w + 0.1 * i for i, w in enumerate(plain.get_weights())]
    fused.set_weights(weights)
    plain.set_weights(weights)
    ours, theirs = (keras.ops.convert_to_numpy(layer(x, training=training)) for layer in (fused, plain))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    for mine, other in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3)  # torch's variance is the unbiased one


@torch_only
def test_fused_batch_norm_is_still_when_frozen():
    layer = layers.FusedBatchNormalization(axis=1, trainable=False)
    layer.build((8, 3, 4, 4))
    before = layer.get_weights()
    layer(np.full((8, 3, 4, 4), 7, "float32"), training=True)
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))


def pooled(data_format, pool, summed):
    """A model of `norm_gelu` alone: maps of 9 x 8 and, where summed, what is added to them when pooled."""
    shape = (5, 9, 8) if data_format == "channels_first" else (9, 8, 5)
    x = keras.Input(shape)
    given = [x]
    if summed:
        sides = (4, 4) if pool else (9, 8)
        given.append(keras.Input((5, *sides) if data_format == "channels_first" else (*sides, 5)))
    before = given[1] if summed else None
    options = {"pool": pool, "before": before, "momentum": 0.6, "epsilon": 1e-5}
    return keras.Model(given if summed else x, layers.norm_gelu(x, data_format, **options))


@torch_only
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("pool", "summed"), [((2, 2), False), ((3, 2), False), (None, True), ((2, 2), True)])
def test_norm_gelu_does_what_four_layers_of_keras_do(pool, summed, training):
    random = np.random.default_rng(0)
    ours, theirs = (pooled(form, pool, summed) for form in ("channels_first", "channels_last"))
    assert len(ours.layers) == len(ours.inputs) + 1
    assert ours.output_shape[2:] == theirs.output_shape[1:-1]
    weights = [random.uniform(0.5, 2, each.shape) for each in theirs.get_weights()]
    found = []
    for model in (ours, theirs):
        model.set_weights(weights)
        random = np.random.default_rng(1)
        given = [random.normal(1, 2, (16, *each.shape[1:])).astype("float32") for each in theirs.inputs]
        if model is ours:
            given = [each.transpose(0, 3, 1, 2) for each in given]
        answer = keras.ops.convert_to_numpy(model(given if summed else given[0], training=training))
        found.append(answer.transpose(0, 2, 3, 1) if model is ours else answer)
    np.testing.assert_allclose(*found, atol=2e-5)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=5e-3)  # torch's variance is the unbiased one
    again = ours.layers[-1].from_config(ours.layers[-1].get_config())
    assert again.pool == pool


@pytest.fixture
def seen(monkeypatch):
    """A processor with tiles; gives the shapes that convolutions are computed in."""
    monkeypatch.setattr(layers, "_tiles", lambda: True)
    shapes, compute = [], keras.layers.Conv2D.convolution_op

    def noted(self, inputs, kernel):
        shapes.append(tuple(inputs.shape))
        return compute(self, inputs, kernel)

    monkeypatch.setattr(keras.layers.Conv2D, "convolution_op", noted)
    return shapes


def maps(count, width, height=None, kind="bfloat16"):
    import torch

    random = torch.Generator().manual_seed(0)
    shape = (count, height or width, width, 6)  # in memory the channels lie last
    return torch.randn(shape, generator=random).to(getattr(torch, kind)).permute(0, 3, 1, 2)


def answer(kind, inputs, size=3, **options):
    """What a convolution gives, and the gradients of its input and weights, for some gradient of its own."""
    keras.utils.set_random_seed(1)
    layer = kind(5, size, data_format="channels_first", dtype="mixed_bfloat16", **options)
    layer.build(inputs.shape)
    inputs = inputs.detach().requires_grad_()
    outputs = layer(inputs)
    outputs.backward(maps(*outputs.shape[:1], *outputs.shape[:1:-1])[:, :5])
    gradients = [weight.value.grad for weight in layer.weights]
    return [part.detach().float().numpy() for part in (outputs, inputs.grad, *gradients)]


@torch_only
@pytest.mark.parametrize(
    ("width", "height", "size", "sheet"),
    [
        (7, 7, 3, (4, 6, 7, 32)),
        (5, 3, 3, (2, 6, 3, 48)),
        (2, 4, 3, (1, 6, 4, 48)),
        (6, 6, (1, 5), (4, 6, 6, 32)),
    ],
)
def test_packed_maps_give_what_single_ones_give(seen, width, height, size, sheet):
    inputs, options = maps(16, width, height), {"padding": "same", "activation": "gelu"}
    ours = answer(layers.PackedConv2D, inputs, size, **options)
    assert seen == [sheet]
    theirs = answer(keras.layers.Conv2D, inputs, size, **options)
    assert len(ours) == len(theirs) == 4
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0.02, atol=0.02 * np.abs(other).max())


@torch_only
@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        ((15, 7), {"padding": "same"}),
        ((16, 8), {"padding": "same"}),
        ((16, 7), {"padding": "valid"}),
        ((16, 7), {"padding": "same", "strides": 2}),
        ((16, 7), {"padding": "same", "dilation_rate": 2}),
    ],
    ids=["odd", "large", "valid", "strides", "dilated"],
)
def test_what_cannot_be_packed_or_gains_nothing_is_left(seen, inputs, options):
    inputs = maps(*inputs)
    ours, theirs = (answer(kind, inputs, **options) for kind in (layers.PackedConv2D, keras.layers.Conv2D))
    assert seen == [tuple(inputs.shape)] * 2
    assert all((mine == other).all() for mine, other in zip(ours, theirs, strict=True))


@torch_only
def test_float32_and_processors_without_tiles_are_left(seen, monkeypatch):
    layer = layers.PackedConv2D(5, 3, padding="same", data_format="channels_first")
    layer(maps(16, 7, kind="float32"))
    monkeypatch.setattr(layers, "_tiles", lambda: False)
    answer(layers.PackedConv2D, maps(16, 7), padding="same")
    assert seen[-2:] == [(16, 6, 7, 7)] * 2


def test_whitening_makes_patches_uncorrelated_with_unit_deviation():
    random = np.random.default_rng(0)
    images = random.normal(0, 1, (500, 12, 12, 3)).astype("float32")
    images += images[..., :1] + np.roll(images, 1, axis=1) + 2  # correlated, off centre
    kernel = layers.whitening(images, epsilon=1e-9)
    assert kernel.shape == (2, 2, 3, 24)
    out = keras.ops.convert_to_numpy(keras.ops.conv(images, kernel))
    half = out.reshape(-1, 24)[:, :12]
    np.testing.assert_allclose(np.cov(half.T), np.eye(12), atol=2e-2)
    np.testing.assert_allclose(out[..., 12:], -out[..., :12], atol=1e-4)


@pytest.mark.parametrize(("size", "alone"), [(2, 12), (3, 36)])
def test_mirrored_whitening_whitens_pictures_and_mirror_images_and_knows_its_own_mirror_images(size, alone):
    images = np.random.default_rng(0).normal(0, 1, (400, 12, 12, 3)).astype("float32")
    images += images[..., :1] + np.roll(images, 1, axis=2)  # correlated
    kernel = layers.whitening(images, size, epsilon=1e-9, mirrored=True)
    count = 6 * size**2
    assert kernel.shape == (size, size, 3, count)
    assert layers.own_mirror(size, 3) == alone
    half = (count - alone) // 2
    mirrored = kernel[:, ::-1]
    np.testing.assert_allclose(mirrored[..., :alone], kernel[..., :alone], atol=1e-4)
    np.testing.assert_allclose(mirrored[..., alone : alone + half], kernel[..., alone + half :], atol=1e-4)
    both = np.concatenate([images, images[:, :, ::-1]])
    out = keras.ops.convert_to_numpy(keras.ops.conv(both, kernel)).reshape(-1, count)
    one_of_each = [*range(alone // 2), *range(alone, alone + half)]
    np.testing.assert_allclose(np.cov(out[:, one_of_each].T), np.eye(count // 2), atol=2e-2)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_pictures_come_in_channels_last_whatever_follows(data_format):
    inputs, x = layers.pictures((6, 4, 3), data_format, scale=1 / 255, offset=0)
    model = keras.Model(inputs, x)
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 4, 3), np.uint8)
    out = model.predict(images, verbose=0)
    if data_format == "channels_first":
        out = out.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(out, images / 255, atol=1e-6)


@torch_only
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_layer_norm_of_channels_that_lie_first_is_that_of_channels_that_lie_last(policy):
    x = np.random.default_rng(0).normal(2, 3, (4, 6, 7, 5)).astype("float32")  # n, h, w, c
    last = layers.layer_normalization("channels_last", epsilon=1e-6, dtype=policy)
    first = layers.layer_normalization("channels_first", epsilon=1e-6, dtype=policy)
    last.build(x.shape)
    first.build((4, 5, 6, 7))
    weights = [w + np.arange(5, dtype="float32") / 5 for w in last.get_weights()]
    last.set_weights(weights)
    first.set_weights(weights)
    given = keras.ops.cast(x, last.compute_dtype)
    ours = first(keras.ops.transpose(given, (0, 3, 1, 2)))
    assert keras.backend.standardize_dtype(ours.dtype) == keras.backend.standardize_dtype(last(given).dtype)
    ours = keras.ops.convert_to_numpy(keras.ops.transpose(ours, (0, 2, 3, 1)))
    theirs = keras.ops.convert_to_numpy(last(given))
    np.testing.assert_allclose(ours, theirs, atol=1e-5 if policy == "float32" else 0.05)
