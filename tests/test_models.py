"""Every registered model passes the same tests."""

import dataclasses
import math
import zipfile

import keras
import numpy as np
import pytest

from networks import SMALL
from tenfold import datasets, engines, exporting, layers, models, optimizers, recipes, runs, training, zoo
from tenfold.calibration import calibrator
from tenfold.errors import DataError, UsageError
from tenfold.explanation import heat_maps

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (8, *SHAPE), np.uint8)


@pytest.fixture(params=models.BUILDERS)
def name(request):
    return request.param


def built(name, images, data_format="channels_last", precision="float32"):
    keras.utils.set_random_seed(1)
    options = SMALL.get(name)
    model = models.build(name, SHAPE, 4, data_format=data_format, precision=precision, options=options)
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
    last = models.twin(first, name, data_format="channels_last", options=SMALL.get(name))
    np.testing.assert_allclose(models.predict_fn(first)(images), models.predict_fn(last)(images), atol=1e-5)


def test_it_survives_saving(name, images, tmp_path):
    model = built(name, images)
    model.save(tmp_path / "model.keras")
    again = models.load(tmp_path / "model.keras")
    assert (models.predict_fn(model)(images) == models.predict_fn(again)(images)).all()
    kinds = {type(part).__module__.split(".")[0] for part in again.operations}
    assert kinds == {"keras"}


def test_bfloat16_is_close_to_float32(name, images):
    exact = built(name, images, layers.training_format())
    layout, options = layers.training_format(), SMALL.get(name)
    rough = models.twin(exact, name, data_format=layout, precision="mixed_bfloat16", options=options)
    assert rough.output.dtype == "float32"
    answers, rounded = (models.predict_fn(each)(images) for each in (exact, rough))
    # Fifty convolutions in a row, each rounded, add up.
    np.testing.assert_allclose(answers, rounded, atol=0.1 if name == "mobilenetv2" else 0.05)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("plain", 73_098), ("compact", 122_570), ("tiny", 394_970), ("batchnorm", 1_455_626)],
)
def test_the_classics_have_the_sizes_that_are_known_of_them(name, parameters):
    assert models.build(name, SHAPE, 10).count_params() == parameters


# Trainable weights, as the papers or their authors' code have them.
TRAINABLE = {
    "inception": 1_649_402,
    "mobilenetv2": 2_236_682,
    "resnet18": 11_173_962,
    "resnet20": 269_722,
    "resnet56": 853_018,
    "wideresnet": 2_748_890,
}


@pytest.mark.parametrize("name", models.BUILDERS)
def test_sizes_are_those_that_the_package_tells_and_the_papers(name):
    model, told = models.build(name, SHAPE, 10), zoo.figures()[name]
    found = (model.count_params(), models.flops(model))
    assert found == (told.parameters, told.flops), "run: python benchmarks/models.py --sizes"
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert TRAINABLE.get(name, trainable) == trainable


def test_flops_are_counted_by_hand_for_a_small_net():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)  # 8 * 8 places, 27 * 4 weights
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    assert models.flops(model) == 2 * (64 * 27 * 4 + 4 * 2)
    assert models.flops(models.build("fast", SHAPE, 10)) == models.flops(
        models.build("fast", SHAPE, 10, data_format="channels_first")
    )


@pytest.mark.parametrize(
    ("shape", "layer", "products"),
    [
        ((8, 6, 4), keras.layers.Conv2D(10, 3, groups=2), 6 * 4 * 9 * 2 * 10),
        ((8, 6, 4), keras.layers.Conv2D(10, 3, strides=2, padding="same"), 4 * 3 * 9 * 4 * 10),
        ((8, 6, 4), keras.layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 4 * 9 * 4 * 2),
        ((8, 6, 4), keras.layers.SeparableConv2D(10, 3, padding="same"), 8 * 6 * (9 * 4 + 4 * 10)),
        ((8, 4), keras.layers.Conv1D(10, 3), 6 * 3 * 4 * 10),
        ((8, 4), keras.layers.Dense(10), 8 * 4 * 10),
        ((8, 4), keras.layers.EinsumDense("bnp,pd->bnd", (8, 10), bias_axes="nd"), 8 * 4 * 10),
        ((8, 4), keras.layers.EinsumDense("...np,npd->...d", 10), 8 * 4 * 10),
        ((8, 4), keras.layers.LayerNormalization(), 0),
    ],
)
def test_flops_are_counted_by_hand_for_each_kind_of_layer(shape, layer, products):
    inputs = keras.Input(shape)
    inner = keras.Model(inputs, layer(inputs))
    assert models.flops(inner) == 2 * products
    outer = keras.Input(shape)
    assert models.flops(keras.Model(outer, inner(outer))) == 2 * products


def test_flops_of_attention_are_counted_by_hand():
    asking, told = keras.Input((5, 8)), keras.Input((7, 6))
    outputs = keras.layers.MultiHeadAttention(2, 3, value_dim=4)(asking, told)
    dense = 5 * 8 * 2 * 3 + 7 * 6 * 2 * 3 + 7 * 6 * 2 * 4 + 5 * 2 * 4 * 8  # queries, keys, values, output
    scores = 2 * 5 * 7 * (3 + 4)
    assert models.flops(keras.Model([asking, told], outputs)) == 2 * (dense + scores)


@pytest.mark.parametrize(("side", "most"), [(16, 512), (32, 512), (64, 190), (256, 12)])
def test_the_larger_the_pictures_the_fewer_pass_at_once(side, most):
    held = models.held(models.build("fast", (side, side, 3), 10), side)
    assert most / 2 < held <= most


def test_no_more_pictures_pass_at_once_than_layers_have_memory_for():
    inputs = keras.Input((None, None, 3))
    large = keras.Model(inputs, keras.layers.Conv2D(1021, 1)(inputs))
    assert models.held(large, 32) == 2**28 // (1024 * 32**2)
    assert models.held(keras.Model(inputs, large(inputs)), 32) == 2**28 // (1027 * 32**2), "the pixels twice"
    assert models.held(large, 10**4) == 1

    class Own(keras.Model):
        def call(self, pixels):
            return pixels

    assert models.held(Own(), 32) == 512 > models.held(Own(), 256) > 1


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
@pytest.mark.parametrize("name", sorted(models.ANY_SIZE))
def test_a_model_with_global_pooling_takes_other_sizes(name):
    model = models.build(name, SHAPE, 10, options=SMALL.get(name, {"width": 0.125}))
    with pytest.raises(ValueError, match="shape"):
        model(np.zeros((2, 24, 24, 3), np.uint8), training=False)
    models.take_any_size(model)
    for side in (24, 28, 32):
        assert model(np.zeros((2, side, side, 3), np.uint8), training=False).shape == (2, 10)


@pytest.mark.parametrize("name", models.BUILDERS)
def test_models_of_any_size_have_weights_that_depend_on_none(name):
    small, large = (
        models.build(name, (side, side, 3), 10, options=SMALL.get(name)).count_params() for side in (32, 48)
    )
    assert (small == large) == (name in models.ANY_SIZE)


def test_fast_with_mirrored_kernels_starts_and_stays_so_and_saves_a_plain_model(images, tmp_path):
    model = models.build(
        "fast", SHAPE, 10, data_format=layers.training_format(), options={"mirror": True, "width": 0.125}
    )
    models.prepare(model, images)
    model.compile(optimizers.ConvMuon(0.05), "mse")
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][1:]
    assert len(kernels) == 6
    for _ in range(3):
        for kernel in kernels:
            value = keras.ops.convert_to_numpy(kernel)
            mirrored = keras.ops.convert_to_numpy(kernel.constraint(value))
            np.testing.assert_allclose(mirrored, value, atol=1e-5)
        model.train_on_batch(images, np.zeros((len(images), 10)))
    shapes = [tuple(each.shape) for each in model.weights]
    assert shapes == [
        tuple(each.shape) for each in models.build("fast", SHAPE, 10, options={"width": 0.125}).weights
    ]
    model = models.twin(model, "fast", data_format="channels_last", options={"mirror": True, "width": 0.125})
    model.save(tmp_path / "model.keras")
    assert "tenfold" not in zipfile.ZipFile(tmp_path / "model.keras").read("config.json").decode()


def test_fast_with_mirrored_kernels_gives_mirrored_maps(images):
    model = models.build("fast", SHAPE, 10, options={"mirror": True, "width": 0.125, "stem": 16})
    models.prepare(model, images)
    maps = keras.Model(model.inputs, next(each.output for each in model.layers if "conv2d" in each.name))
    plain, turned = (maps.predict(each, verbose=0) for each in (images, images[:, :, ::-1]))
    np.testing.assert_allclose(np.roll(turned, 8, axis=3)[:, :, ::-1], plain, atol=1e-3 * np.abs(plain).max())


def test_the_less_time_the_smaller():
    epoch = 50_000 * 32 * 32
    sizes = [models.fast.fitting(passes * 0.68e9 * 50_000, epoch) for passes in (1, 4, 8, 20, 80)]
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


@pytest.mark.parametrize(
    ("name", "options", "answer"),
    [
        ("resnet20", {"depth": 21}, r"6n \+ 2.*Received: depth=21"),
        ("resnet20", {"shortcut": "projekt"}, "Did you mean 'projection'"),
        ("resnet18", {"attention": "cbma"}, "Did you mean 'cbam'"),
        ("wideresnet", {"depth": 28 + 1}, r"6n \+ 4.*Received: depth=29"),
        ("vgg16", {"depth": 12}, "Choices: 11, 13, 16, 19"),
        ("vit", {"patch": 5}, "multiple of patch.*image_size=32, patch=5"),
        ("vit", {"heads": 5}, "multiple of heads.*heads=5"),
    ],
)
def test_options_that_make_no_network_are_answered(name, options, answer):
    with pytest.raises(UsageError, match=answer):
        models.build(name, SHAPE, 10, options=options)


@pytest.mark.parametrize("name", SMALL)
def test_eight_pixels_are_not_too_few_for_what_comes_from_papers(name):
    model = models.build(name, (8, 8, 3), 10, options=SMALL[name])
    assert model(np.zeros((2, 8, 8, 3), np.uint8), training=False).shape == (2, 10)


def test_a_shortcut_without_weights_takes_every_second_pixel_and_adds_empty_channels(images):
    model = models.build("resnet20", SHAPE, 10, options={"depth": 8})
    begins = next(layer for layer in model.layers if isinstance(layer, keras.layers.AveragePooling2D))
    adds = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    add = next(layer for layer in adds if layer.output.shape[1] == 16)
    before, after = keras.Model(model.inputs, [begins.input, add.input[0]]).predict(images, verbose=0)
    np.testing.assert_array_equal(after[..., :16], before[:, ::2, ::2])
    assert after.shape == (8, 16, 16, 32)
    assert not after[..., 16:].any()


@pytest.mark.parametrize(("kind", "scales"), [("se", 3), ("cbam", 6)])
def test_attention_weighs_without_turning_signs(kind, scales, images):
    keras.utils.set_random_seed(0)  # in some draws no hidden unit of a block answers to any picture
    model = models.build("resnet20", SHAPE, 10, options={"depth": 8, "attention": kind})
    multiply = [layer for layer in model.layers if isinstance(layer, keras.layers.Multiply)]
    assert len(multiply) == scales
    outputs = [tensor for layer in multiply for tensor in (*layer.input, layer.output)]
    found = keras.Model(model.inputs, outputs).predict(images, verbose=0)
    for maps, weights, weighed in zip(found[::3], found[1::3], found[2::3], strict=True):
        assert ((weights >= 0) & (weights <= 1)).all()
        assert np.ptp(weights) > 0
        assert 1 in weights.shape[1:]
        np.testing.assert_allclose(weighed, maps * weights, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.BUILDERS)
def test_it_learns_from_pictures_and_what_is_exported_answers_as_it_does(name, cifar_data, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra `export`")
    train = datasets.load(str(cifar_data), "train").subset(np.arange(5000))
    arrays = tmp_path / "part.npz"
    np.savez(arrays, images=train.images, labels=train.labels, class_names=train.class_names)
    recipe = "vit" if name in ("convmixer", "convnext", "vit") else "resnet20"
    settings = dataclasses.replace(
        recipes.recipe(recipe), data=str(arrays), model=name, epochs=1, batch_size=64, learning_rate=0.02
    )
    if recipe == "vit":
        settings = dataclasses.replace(settings, learning_rate=0.001)
    run = training.train(settings, runs=tmp_path)
    assert run.scores("validation")["accuracy"] > 0.15
    again = runs.open_run(run.path)
    file = engines.open_file(exporting.export(again), "onnxruntime")
    pictures = train.images[:200]
    own = models.predict_fn(models.load(again.model_path), calibrator=calibrator(again.calibration))
    np.testing.assert_allclose(file(pictures), own(pictures), atol=1e-4)
    quick = models.load_fast(again.model_path, name)
    method = "occlusion" if name == "vit" else "layercam"
    maps = heat_maps(quick, pictures[:4], train.labels[:4], method=method)
    assert maps.shape == (4, 32, 32)
    assert maps.max() == 1
