"""Constraints: mirrored kernels do to a mirrored picture what they do to a picture."""

import keras
import numpy as np
import pytest

from tenfold.constraints import Mirrored

RANDOM = np.random.default_rng(0)


def exchanged(channels, alone):
    """The places of channels whose halves are exchanged, but for the first ones."""
    half = (channels - alone) // 2
    order = [*range(alone), *range(alone + half, alone + 2 * half), *range(alone, alone + half)]
    return [*order, *range(len(order), channels)]


def convolved(maps, kernel):
    return keras.ops.convert_to_numpy(
        keras.ops.conv(maps, kernel, padding="same", data_format="channels_last")
    )


@pytest.mark.parametrize(
    ("channels", "filters", "alone", "size"), [(8, 6, 0, 3), (10, 4, 4, 3), (5, 7, 0, 3), (6, 6, 2, (1, 5))]
)
def test_a_mirrored_picture_gives_mirrored_maps_with_their_halves_exchanged(channels, filters, alone, size):
    height, width = (size, size) if isinstance(size, int) else size
    maps = RANDOM.normal(size=(2, 9, 8, channels)).astype("float32")
    kernel = Mirrored(alone)(RANDOM.normal(size=(height, width, channels, filters)).astype("float32"))
    plain = convolved(maps, kernel)
    turned = convolved(maps[:, :, ::-1, exchanged(channels, alone)], kernel)
    np.testing.assert_allclose(turned, plain[:, :, ::-1, exchanged(filters, 0)], atol=1e-4)
    assert np.abs(turned - plain).max() > 0.1  # it still tells left from right


def test_it_is_a_projection():
    kernel = RANDOM.normal(size=(3, 3, 8, 6)).astype("float32")
    once = keras.ops.convert_to_numpy(Mirrored()(kernel))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(Mirrored()(once)), once, atol=1e-6)
    assert np.vdot(kernel - once, once) == pytest.approx(0, abs=1e-3)  # the nearest one


def test_keras_holds_a_layer_to_it_and_saves_it(tmp_path):
    inputs = keras.Input((6, 6, 4))
    x = keras.layers.Conv2D(4, 3, padding="same", kernel_constraint=Mirrored(2), name="pairs")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    model.compile("adam", "mse")
    model.fit(RANDOM.normal(size=(8, 6, 6, 4)), RANDOM.normal(size=(8, 1)), verbose=0)
    model.save(tmp_path / "model.keras")
    layer = keras.models.load_model(tmp_path / "model.keras").get_layer("pairs")
    assert layer.kernel_constraint.alone == 2
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(Mirrored(2)(kernel)), kernel, atol=1e-6)
