"""Every registered model passes the same tests."""

import keras
import numpy as np
import pytest

from tenfold import layers, models
from tenfold.errors import DataError, UsageError

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (8, *SHAPE), np.uint8)


@pytest.fixture(params=models.BUILDERS)
def name(request):
    return request.param


def built(name, images, data_format="channels_last", precision="float32"):
    keras.utils.set_random_seed(1)
    model = models.build(name, SHAPE, 4, data_format=data_format, precision=precision)
    models.prepare(model, images)
    return model


def test_it_gives_probabilities(name, images):
    probabilities = models.predict_fn(built(name, images))(images)
    assert probabilities.shape == (8, 4)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_every_trainable_weight_learns(name, images):
    model = built(name, images, layers.training_format())
    loss = keras.losses.SparseCategoricalCrossentropy(models.returns_logits(model))
    model.compile(keras.optimizers.SGD(0.1), loss)
    before = [np.array(v) for v in model.trainable_variables]
    for _ in range(3):
        model.train_on_batch(images, np.arange(8) % 4)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert np.isfinite(np.array(variable)).all()
        assert (old != np.array(variable)).any(), variable.path


def test_both_layouts_agree(name, images):
    first = built(name, images, "channels_first")
    last = models.twin(first, name, data_format="channels_last")
    np.testing.assert_allclose(models.predict_fn(first)(images), models.predict_fn(last)(images), atol=1e-5)


def test_it_survives_saving(name, images, tmp_path):
    model = built(name, images)
    model.save(tmp_path / "model.keras")
    again = models.load(tmp_path / "model.keras")
    assert (models.predict_fn(model)(images) == models.predict_fn(again)(images)).all()
    kinds = {type(layer).__module__.split(".")[0] for layer in again.layers}
    assert kinds == {"keras"}


def test_bfloat16_is_close_to_float32(name, images):
    exact = built(name, images, layers.training_format())
    rough = models.twin(exact, name, data_format=layers.training_format(), precision="mixed_bfloat16")
    assert rough.output.dtype == "float32"
    np.testing.assert_allclose(models.predict_fn(exact)(images), models.predict_fn(rough)(images), atol=0.05)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("plain", 73_098), ("compact", 122_570), ("tiny", 394_970), ("batchnorm", 1_455_626)],
)
def test_the_classics_have_the_sizes_that_are_known_of_them(name, parameters):
    assert models.build(name, SHAPE, 10).count_params() == parameters


def test_flops_are_counted_by_hand_for_a_small_net():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)  # 8 * 8 places, 27 * 4 weights
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    assert models.flops(model) == 2 * (64 * 27 * 4 + 4 * 2)
    assert models.flops(models.build("fast", SHAPE, 10)) == models.flops(
        models.build("fast", SHAPE, 10, data_format="channels_first")
    )


def test_unknown_names_and_options_are_answered():
    with pytest.raises(UsageError, match="Did you mean 'fast'"):
        models.build("fats", SHAPE, 10)
    with pytest.raises(UsageError, match="width"):
        models.build("fast", SHAPE, 10, options={"wdith": 2})
    assert models.build("fast", SHAPE, 10, options={"width": 0.25, "stem": 16}).count_params() < 200_000


def test_pictures_too_small_for_a_model_are_answered():
    with pytest.raises(UsageError, match="8 x 8 pictures"):
        models.build("plain", (8, 8, 3), 10)


def test_a_file_that_is_no_model_is_answered(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"model\.keras"):
        models.load(tmp_path / "model.keras")


def test_a_third_convolution_adds_to_what_it_was_given():
    shallow, deep = (models.build("fast", SHAPE, 10, options={"width": 0.125, "depth": n}) for n in (2, 3))
    assert sum(isinstance(layer, keras.layers.Add) for layer in deep.layers) == 3
    assert deep.count_params() > shallow.count_params()


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="fit takes one size there")
def test_a_model_with_global_pooling_learns_from_two_sizes():
    model = models.build("fast", SHAPE, 10, options={"width": 0.125, "stem": 8})
    with pytest.raises(ValueError, match="shape"):
        model(np.zeros((2, 24, 24, 3), np.uint8), training=False)
    models.take_any_size(model)
    for side in (24, 32):
        assert model(np.zeros((2, side, side, 3), np.uint8), training=False).shape == (2, 10)


@pytest.mark.parametrize("name", models.BUILDERS)
def test_models_of_any_size_have_weights_that_depend_on_none(name):
    small, large = (models.build(name, (side, side, 3), 10).count_params() for side in (32, 48))
    assert (small == large) == (name in models.ANY_SIZE)


def test_the_less_time_the_smaller():
    epoch = 50_000 * 32 * 32
    sizes = [models.fast.fitting(passes * 0.68e9 * 50_000, epoch) for passes in (1, 5, 20)]
    parameters = [models.build("fast", SHAPE, 10, options=size).count_params() for size in sizes]
    assert parameters == sorted(set(parameters))


def test_the_parts_of_batchnorm_can_be_switched_one_by_one():
    whole, bare, even = (
        models.build("batchnorm", SHAPE, 10, options=options)
        for options in ({}, {"norm": False}, {"growth": 1, "width": 16})
    )
    assert whole.count_params() == 1_455_626

    def kinds(model):
        return [type(layer).__name__ for layer in model.layers]

    assert [kind for kind in kinds(whole) if kind != "BatchNormalization"] == kinds(bare)
    assert [layer.filters for layer in even.layers if isinstance(layer, keras.layers.Conv2D)] == [16] * 3


def test_a_softmax_at_the_end_is_known_as_an_activation_and_as_a_layer():
    pictures = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    inputs = keras.Input((8, 8, 3))
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
    plain = keras.Model(inputs, logits)
    ended = keras.Model(inputs, keras.layers.Softmax()(logits))
    assert models.returns_logits(plain)
    assert not models.returns_logits(ended)
    np.testing.assert_allclose(
        models.predict_fn(plain)(pictures), models.predict_fn(ended)(pictures), atol=1e-6
    )
