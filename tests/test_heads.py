"""A new head: what of a network it sees, in both layouts, and that the number of features sets no pace."""

import keras
import numpy as np
import pytest

from tenfold import layers
from tenfold.errors import UsageError
from tenfold.models import heads

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)


def network(data_format="channels_last", filters=4):
    """Two resolutions, 15 x 15 and 7 x 7; two convolutions with their activations at each."""
    inputs, x = layers.pictures((16, 16, 3), data_format, scale=1 / 255, offset=0.0)
    form = {"data_format": data_format}
    x = keras.layers.Conv2D(filters, 2, activation="relu", name="a", **form)(x)
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name="bare", **form)(x)
    x = keras.layers.Activation("relu", name="b")(x)
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name="bridge", **form)(x)
    x = keras.layers.MaxPooling2D(2, name="pool", **form)(x)
    x = keras.layers.Activation("relu", name="c")(x)
    x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name="d", **form)(x)
    x = keras.layers.GlobalMaxPooling2D(name="end", **form)(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="classes")(x))


def made(model, name):
    found = keras.Model(model.inputs[0], model.get_layer(name).output)
    return np.asarray(found.predict(IMAGES, verbose=0))


def test_a_new_head_sees_the_end_and_the_quarters_of_two_maps_of_each_resolution():
    model = network()
    seen = made(heads.renewed(model, 5), heads.DEPTHS)
    expected = [made(model, "end")]
    for name, half in (("a", 8), ("b", 8), ("c", 4), ("d", 4)):  # 15 and 7 are odd: the middle is in both
        maps = made(model, name)
        rows = (maps[:, :half], maps[:, -half:])
        quarters = [part for row in rows for part in (row[:, :, :half], row[:, :, -half:])]
        expected += [quarter.mean(axis=(1, 2)) for quarter in quarters]
        expected += [quarter.max(axis=(1, 2)) for quarter in quarters]
    np.testing.assert_allclose(seen, np.concatenate(expected, axis=1), atol=1e-6)


def test_maps_with_many_channels_are_seen_whole():
    model = network(filters=300)
    seen = made(heads.renewed(model, 5), heads.DEPTHS)
    assert seen.shape == (6, 300 + 4 * 2 * 300)
    maps = made(model, "d")
    np.testing.assert_allclose(seen[:, -600:-300], maps.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(seen[:, -300:], maps.max(axis=(1, 2)), atol=1e-5)


def test_both_layouts_see_the_same():
    if layers.training_format() == "channels_last":
        pytest.skip("this backend knows one layout")
    last, first = network(), network("channels_first")
    first.set_weights(last.get_weights())
    pair = [heads.renewed(last, 5), heads.renewed(first, 5, data_format="channels_first")]
    seen, also = (made(model, heads.DEPTHS) for model in pair)
    np.testing.assert_allclose(seen, also, atol=1e-5)


def test_a_network_that_has_a_new_head_gets_another_on_the_same_features():
    once = heads.renewed(network(), 5)
    twice = heads.renewed(once, 2)
    assert twice.output_shape == (None, 2)
    np.testing.assert_array_equal(made(twice, heads.DEPTHS), made(once, heads.DEPTHS))


def test_a_step_moves_the_answers_as_far_with_many_features_as_with_few():
    def moved(copies):
        """The logits after one step of Adam on features that all say the same."""
        given = keras.Input((copies,))
        model = keras.Model(given, heads.attach(given, 2, dropout=0.0))
        seen = np.repeat(np.array([[0.0], [2.0]], np.float32), copies, axis=1)
        heads.standardise(model, seen.mean(axis=0), seen.var(axis=0))
        model.compile(keras.optimizers.Adam(0.001), keras.losses.SparseCategoricalCrossentropy(True))
        model.train_on_batch(seen, np.array([0, 1]))
        return model.predict(seen, verbose=0)

    np.testing.assert_allclose(moved(10), moved(1000), rtol=0.01, atol=2e-3)
    assert abs(moved(10)).min() > 0.5


def test_a_network_without_a_dense_end_is_refused():
    model = network()
    with pytest.raises(UsageError, match="cannot take a new head"):
        heads.features(keras.Model(model.inputs[0], model.get_layer("end").output))
