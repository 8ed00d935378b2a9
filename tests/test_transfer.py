"""Transfer learning: what another network has learnt is taken over, a new head learns, then more may."""

import dataclasses
import json

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

import networks
from quick import Interrupt
from tenfold import calibration, cli, datasets, evaluation, layers, models, splits, training, transfer
from tenfold.cli import options, train
from tenfold.config import Config, from_yaml, to_yaml
from tenfold.datasets import Dataset
from tenfold.errors import DataError, Stopped, UsageError
from tenfold.images import encode_png
from tenfold.models import heads
from tenfold.prediction import Predictor
from tenfold.recipes import recipe
from tenfold.significance import mcnemar

LEARNT, NEW = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)


def digits(folder, classes, a_class=None):
    """An archive of the digits of some classes, at most so many of each for training."""
    arrays = {"class_names": np.array([str(each) for each in classes])}
    for split, most in (("train", a_class), ("test", None)):
        data = datasets.load("digits", split)
        rows = [np.flatnonzero(data.labels == each)[:most] for each in classes]
        arrays[f"x_{split}"] = np.concatenate([data.images[each] for each in rows])
        arrays[f"y_{split}"] = np.concatenate([np.full(len(each), at) for at, each in enumerate(rows)])
    path = folder / f"digits-{''.join(map(str, classes))}-{a_class}.npz"
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def source(place):
    """A run of `fast` that knows five digits."""
    settings = dataclasses.replace(
        recipe("fast"),
        data=digits(place, LEARNT),
        epochs=2,
        batch_size=64,
        small_pictures=0.0,
        model_options={"width": 0.25, "stem": 16},
        precision="float32",
    )
    return training.train(settings, runs=place, name="source")


@pytest.fixture(scope="module")
def few(place):
    return digits(place, NEW, 20)


def settings(source, data, **changes):
    origin = str(getattr(source, "path", source))
    changes = {"epochs": 20, "val_split": 0.2, **changes}
    return dataclasses.replace(recipe("transfer"), from_run=origin, data=data, **changes)


@pytest.fixture(scope="module")
def head(source, few, place):
    """A run that has trained a head alone."""
    said = []
    run = training.train(settings(source, few), runs=place, name="head", listen=said.append)
    return run, [words for words in said if isinstance(words, str)]


def body_of(run):
    return heads.body(models.load(run.model_path)).get_weights()


def same(ours, theirs):
    return len(ours) == len(theirs) and all((a == b).all() for a, b in zip(ours, theirs, strict=True))


def test_a_head_learns_new_classes_and_the_network_below_stays(source, head):
    run, said = head
    assert run.scores("validation")["accuracy"] > 0.6
    assert run.class_names == ("5", "6", "7", "8", "9")
    assert same(body_of(run), body_of(source))
    assert [row["epoch"] for row in run.history] == list(range(1, 21))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.summary["parameters"] == models.load(run.model_path).count_params()
    assert any("augmentation does not apply" in words for words in said)


def test_the_kept_model_is_the_whole_and_gives_the_scores_that_were_kept(head):
    run = head[0]
    held = splits.open_split(run, "validation")
    calibrate = calibration.calibrator(run.calibration)
    predict = models.predict_fn(models.load(run.model_path), calibrator=calibrate)
    found = evaluation.evaluate(predict, held, split="validation")
    assert found.accuracy == run.scores("validation")["accuracy"]
    np.testing.assert_allclose(found.loss, run.scores("validation")["loss"], atol=1e-4)
    fast = models.load_fast(run.model_path, run.config.model, run.config.model_options)
    np.testing.assert_allclose(
        models.predict_fn(fast, calibrator=calibrate)(held.images), predict(held.images), atol=1e-4
    )


def test_what_a_run_started_from_is_written_down_and_checked(source, head, few, place):
    config = head[0].config
    assert (config.from_run, config.model, config.image_size) == (str(source.path), "fast", 32)
    assert config.model_options == {"width": 0.25, "stem": 16, "new_head": heads.DROPOUT}
    assert len(config.started_from) == 64
    again = training.train(from_yaml(to_yaml(config)), runs=place)
    assert same(models.load(again.model_path).get_weights(), models.load(head[0].model_path).get_weights())
    with pytest.raises(DataError, match="holds other weights"):
        training.train(dataclasses.replace(config, started_from="0" * 64), runs=place)


@pytest.fixture(scope="module")
def tuned(source, few, place):
    """A run whose upper layers have learnt too, its settings, and what it said."""
    changes = {"freeze": 6, "finetune_epochs": 3, "finetune_rate": 0.001, "monitor": "last"}
    asked = settings(source, few, epochs=3, **changes)
    said = []
    return training.train(asked, runs=place, name="tuned", listen=said.append), asked, said


def test_layers_from_freeze_on_learn_after_the_head_and_batch_norm_keeps_its_statistics(source, tuned):
    run, _, said = tuned
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6]
    assert run.history[3]["learning_rate"] <= 0.001
    assert any("all but the first 6 layers" in words for words in said if isinstance(words, str))
    ours, theirs = (heads.body(models.load(each.model_path)) for each in (run, source))
    ours, theirs = (
        [layer for layer in body.layers if not layer.name.startswith(("scaling", heads.DEPTHS))]
        for body in (ours, theirs)
    )
    moved = []
    for number, (layer, known) in enumerate(zip(ours, theirs, strict=True)):
        if layer.get_weights():
            changed = not same(layer.get_weights(), known.get_weights())
            moved.append(changed)
            norm = isinstance(layer, keras.layers.BatchNormalization)
            assert changed == (number >= 6 and not norm)
    assert any(moved)
    assert not all(moved)


def test_a_run_is_resumed_to_the_same_end_wherever_it_was_stopped(tuned, place):
    whole, asked, _ = tuned
    for epoch in (1, 4):  # with the head, and later
        name = f"cut-{epoch}"
        with pytest.raises(Stopped, match="tenfold resume"):
            training.train(asked, runs=place, name=name, extra_callbacks=[Interrupt(epoch)])
        cut = training.resume(place / name)
        assert same(*(models.load(run.model_path).get_weights() for run in (whole, cut)))
        assert cut.scores("validation") == whole.scores("validation")
        assert [row["loss"] for row in cut.history] == [row["loss"] for row in whole.history]


def test_bfloat16_tunes_too_and_keeps_float32(source, few, place):
    asked = settings(source, few, epochs=5, freeze=0, finetune_epochs=1, precision="mixed_bfloat16")
    run = training.train(asked, runs=place)
    model = models.load(run.model_path)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert run.scores("validation")["accuracy"] > 0.5


@pytest.mark.slow
def test_everything_after_training_works_with_it(head):
    run = head[0]
    pictures = splits.open_split(run, "validation").images
    predictor = Predictor(run)
    assert predictor.engine in ("openvino", "onnxruntime")
    calibrate = calibration.calibrator(run.calibration)
    expected = models.predict_fn(models.load(run.model_path), calibrator=calibrate)(pictures)
    assert (predictor.predict(pictures).argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.95


def test_a_saved_model_is_started_from_as_a_run_is(place, few):
    keras.utils.set_random_seed(0)
    own = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    own.save(place / "own.keras")
    asked = settings(place / "own.keras", few, freeze=1, finetune_epochs=1)
    run = training.train(asked, runs=place)
    assert run.scores("validation")["accuracy"] > 0.6
    assert models.load(run.model_path).output_shape == (None, 5)
    onward = training.train(settings(run, few), runs=place)
    assert same(body_of(onward), body_of(run))


@pytest.fixture(scope="module")
def mobile(few, place):
    """A run on a backbone of Keras with weights from a file, and the network that these are of."""
    keras.utils.set_random_seed(1)
    network = keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), alpha=0.35, include_top=False, weights=None
    )
    pixels = datasets.load("digits").images[:32].repeat(2, axis=1).repeat(2, axis=2) / 127.5 - 1
    networks.awake(network, pixels.astype("float32"))
    with h5py.File(place / "mobilenet_notop.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    asked = dataclasses.replace(
        recipe("transfer"),
        data=few,
        backbone="MobileNetV2",
        weights=str(place / "mobilenet_notop.h5"),
        model_options={"alpha": 0.35, "enlarge": 2},
        val_split=0.2,
    )
    return training.train(asked, runs=place, name="mobile"), network


def test_keras_applications_learn_from_a_local_file(mobile):
    run, network = mobile
    assert (run.config.model, run.config.recipe) == ("keras/mobilenetv2", "transfer")
    assert same(body_of(run), network.get_weights())
    assert run.history[-1]["loss"] < run.history[0]["loss"] - 0.2


@pytest.mark.slow
def test_keras_applications_from_end_to_end(mobile, place, capsys):
    run, _ = mobile
    assert cli.main(["evaluate", str(run.path), "--split", "test"]) == 0
    whole = models.predict_fn(models.load(run.model_path), calibrator=calibration.calibrator(run.calibration))
    test = datasets.load(run.config.data, "test")
    for split, part in (("validation", splits.open_split(run, "validation")), ("test", test)):
        np.testing.assert_allclose(run.predictions(split)["probabilities"], whole(part.images), atol=2e-3)
    assert cli.main(["export", str(run.path)]) == 0
    (place / "digit.png").write_bytes(encode_png(splits.open_split(run, "validation").images[0]))
    capsys.readouterr()
    assert cli.main(["predict", str(run.path), str(place / "digit.png"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["label"] in run.class_names
    assert cli.main(["explain", str(run.path), str(place / "digit.png")]) == 0


@pytest.mark.slow
def test_a_backbone_without_weights_is_an_architecture_like_others(few, place):
    asked = dataclasses.replace(
        recipe("transfer"),
        data=few,
        backbone="mobilenetv2",
        weights="none",
        model_options={"alpha": 0.35, "enlarge": 1},
        epochs=1,
        precision="float32",
    )
    run = training.train(asked, runs=place)
    assert run.config.started_from is None
    moved = [layer for layer in models.load(run.model_path).layers if "bn" in layer.name.lower()]
    assert any(layer.get_weights()[2].any() for layer in moved)  # batch norm learns its means


def test_missing_weights_end_before_anything_is_made(few, tmp_path):
    asked = dataclasses.replace(recipe("transfer"), data=few, backbone="vgg16")
    with pytest.raises(DataError, match="vgg16_weights_tf_dim_ordering_tf_kernels_notop"):
        training.train(asked, runs=tmp_path / "runs")
    with pytest.raises(DataError, match=r"nowhere.h5 does not exist"):
        training.train(dataclasses.replace(asked, weights="nowhere.h5"), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"backbone": "vgg16", "from_run": "runs/a"}, "--backbone or --from"),
        ({"weights": "none"}, "--weights is for --backbone"),
        ({"freeze": 3}, "--freeze keeps what was learnt"),
        ({"freeze": 3, "backbone": "vgg16", "weights": "none"}, "--freeze keeps what was learnt"),
        ({"time": "1m", "from_run": "runs/a"}, "--time is for training from nothing"),
        ({"finetune_rate": 0}, "finetune_rate must be above 0"),
        ({"finetune_epochs": 0}, "finetune_epochs must be 1 or more"),
        ({"freeze": -1, "backbone": "vgg16"}, "freeze must be 0 or more"),
    ],
)
def test_settings_that_contradict_each_other_are_answered(changes, told):
    with pytest.raises(UsageError, match=told):
        Config(**changes)


def test_what_a_network_cannot_give_is_answered(source, few, place):
    with pytest.raises(UsageError, match=r"The network has \d+ layers"):
        training.train(settings(source, few, freeze=999), runs=place)
    with pytest.raises(UsageError, match="Expected: no --image-size"):
        training.train(settings(source, few, image_size=64), runs=place)
    with pytest.raises(UsageError, match="no --teacher, or --freeze"):
        transfer.settle(settings(source, few, teacher=str(source.path)), "")
    with pytest.raises(UsageError, match="is not a run folder"):
        transfer.settle(settings(place / "sorce", few), "")


def test_the_command_line_starts_from_a_run_with_the_recipe_for_it(source, few, place):
    words = [few, "--from", str(source.path), "--epochs", "2"]
    asked = train.resolve(options.parse(train.Options, words, verb="train", default=train.start(words)))
    assert (asked.recipe, asked.from_run, asked.epochs) == ("transfer", str(source.path), 2)
    with pytest.raises(UsageError, match="no --model beside it"):
        train.start([*words, "--model", "tiny"])
    file = place / "settings.yaml"
    file.write_text(to_yaml(dataclasses.replace(asked, started_from="0" * 64)))
    words = ["--config", str(file), "--from", "runs/other"]
    assert train.start(words).settings.started_from is None  # it was of the other network


def test_pictures_in_memory_are_learnt_too(source, place):
    data = datasets.load("digits")
    rows = np.flatnonzero(np.isin(data.labels, NEW))[:200]
    names = tuple(str(each) for each in NEW)
    held = Dataset(data.images[rows], data.labels[rows] - 5, names, tuple(map(str, rows)))
    run = training.train(held, from_run=str(source.path), runs=place, epochs=5)
    assert run.config.recipe == "transfer"
    assert run.scores("validation")["accuracy"] > 0.5


@pytest.mark.slow
def test_a_hundred_pictures_a_class_suffice_for_a_network_that_knows_five_classes(cifar_data, place):
    train = datasets.load(cifar_data)
    paths = []
    for classes, count in ((range(5), 2000), (range(5, 10), 100)):
        rows = np.concatenate([np.flatnonzero(train.labels == each)[:count] for each in classes])
        held = np.concatenate([np.flatnonzero(train.labels == each)[-500:] for each in classes])
        paths.append(place / f"cifar-{count}.npz")
        low = min(classes)
        np.savez(
            paths[-1],
            x_train=train.images[rows],
            y_train=train.labels[rows] - low,
            x_val=train.images[held],
            y_val=train.labels[held] - low,
            class_names=np.array(train.class_names[low : low + 5]),
        )
    first = dataclasses.replace(recipe("fast"), data=str(paths[0]), epochs=4)
    known = training.train(first, runs=place, name="five")
    ours = training.train(settings(known, str(paths[1])), runs=place)
    scratch = dataclasses.replace(recipe("fast"), data=str(paths[1]), batch_size=64, epochs=30)
    theirs = training.train(scratch, runs=place)
    found = [run.predictions("validation") for run in (ours, theirs)]
    right = [each["predicted"] == each["labels"] for each in found]
    assert right[0].mean() > right[1].mean()
    assert mcnemar(int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", models.BUILDERS)
def test_every_architecture_takes_a_new_head_in_both_layouts(name):
    images = networks.pictures(4)
    options = {**networks.SMALL.get(name, {}), heads.OPTION: 0.2}
    layout = layers.training_format()
    first = models.build(name, (32, 32, 3), 3, data_format=layout, options=options)
    networks.awake(first, images.astype("float32"))
    kernel = np.random.default_rng(0).normal(size=first.get_layer(heads.LOGITS).kernel.shape)
    first.get_layer(heads.LOGITS).set_weights([kernel, np.zeros(3)])
    portable = models.twin(first, name, data_format="channels_last", options=options)
    answers = portable.predict(images, verbose=0)
    least = 1e-3 * np.abs(answers).max()
    assert np.ptp(answers, axis=0).max() > 5 * least
    np.testing.assert_allclose(first.predict(images, verbose=0), answers, atol=least)
