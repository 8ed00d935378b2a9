"""A model of the user's own: taken as it is written, trained fast, kept so that it opens anywhere."""

import dataclasses
import json
import sys

import keras
import numpy as np
import pytest
from keras import layers as k

import tenfold
from tenfold import datasets, models, preparation, records, reproduction, runs, training
from tenfold.cli import main
from tenfold.config import Config
from tenfold.errors import DataError, Stopped, UsageError
from tenfold.images import encode_png
from tenfold.models import layout, likeness
from tenfold.models import own as owned

QUICK = Config(
    recipe="own",
    data="digits",
    optimizer="adam",
    learning_rate=0.003,
    epochs=2,
    batch_size=64,
    seed=3,
    precision="float32",
)

NET = '''
"""As a user would write it."""

import keras
from keras import layers
from parts import WIDTH


def build(image_shape, classes, ending="softmax", scaled=True):
    model = [keras.Input(image_shape)]
    if scaled:
        model += [layers.Rescaling(1 / 255)]
    model += [layers.Conv2D(WIDTH, 5, strides=2, activation="relu"), layers.BatchNormalization()]
    model += [layers.Dropout(0.2), layers.Flatten(), layers.Dense(classes, activation=ending)]
    return keras.Sequential(model)


def compiled(num_classes):
    model = build((32, 32, 3), num_classes)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


ready = build((32, 32, 3), 10)


def _hidden(): ...


def broken(classes):
    return layers.Conv2D(0, 3)


def leaving(classes):
    raise SystemExit("no more")


def number(classes):
    return 3


def demanding(classes, depth):
    return depth


def large():
    return build((224, 224, 3), 10)


def grey(classes):
    return build((32, 32, 1), classes)


def flat(classes):
    return keras.Sequential([keras.Input((784,)), layers.Dense(classes)])


def fixed(classes):
    inputs = keras.Input(batch_shape=(8, 32, 32, 3))
    return keras.Sequential([inputs, layers.Flatten(), layers.Dense(classes)])


def spatial(classes):
    return keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(classes, 1)])


def independent(classes):
    return build((32, 32, 3), classes, ending="sigmoid")


def anonymous(classes):
    model = build((32, 32, 3), classes)
    model.add(layers.Lambda(lambda x: x * 2))
    return model


class Unregistered(keras.Layer):
    def call(self, inputs):
        return inputs * 2


def unregistered(classes):
    model = build((32, 32, 3), classes)
    model.add(Unregistered())
    return model


@keras.saving.register_keras_serializable("mine")
class Doubled(keras.Layer):
    def call(self, inputs):
        return inputs * 2


def doubled(classes):
    model = build((32, 32, 3), classes, ending="linear")
    model.add(Doubled())
    return model
'''


@pytest.fixture
def net(tmp_path):
    """The user's file; what it imports lies beside it."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "parts.py").write_text("WIDTH = 6\n")
    (folder / "net.py").write_text(NET)
    yield folder / "net.py"
    sys.modules.pop("parts", None)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def adopted(model, digits, given=None, **changes):
    settings = dataclasses.replace(QUICK, model=model, backend=keras.backend.backend(), **changes)
    return preparation.adopt(settings, digits, given)


def small(ending=None, *, scaled=True, **options):
    layers = [keras.Input((32, 32, 3)), *([k.Rescaling(1 / 255)] if scaled else [])]
    layers += [k.Conv2D(4, 5, strides=4), k.BatchNormalization(), k.Flatten(), k.Dense(10, ending)]
    return keras.Sequential(layers, **options)


def test_a_function_in_a_file_is_trained_and_the_run_keeps_what_it_takes(net, tmp_path):
    told = []
    settings = dataclasses.replace(QUICK, model=f"{net}:build")
    run = training.train(settings, runs=tmp_path, listen=told.append)
    assert run.scores("validation")["accuracy"] > 0.8
    assert (run.path / "model.py").read_text() == NET
    facts = json.loads((run.path / "model.json").read_text())
    assert facts["path"] == str(net)
    assert facts["notes"][0] in told
    kept = models.load(run.model_path)
    assert type(kept) is keras.Sequential
    assert {type(layer) for layer in kept.layers} >= {k.BatchNormalization, k.Conv2D}
    assert [layer.data_format for layer in kept.layers if isinstance(layer, k.Conv2D)] == ["channels_last"]
    if keras.backend.backend() == "torch":
        assert "channels_first" in facts["notes"][0]
    # From here on nothing runs the user's code.
    (run.path / "model.py").write_text("raise SystemExit('run')")
    net.write_text("raise SystemExit('run')")
    images = datasets.load("digits", "test").images[:8]
    expected = models.predict_fn(kept)(images)
    fast = models.load_fast(run.model_path, run.config.model)
    np.testing.assert_allclose(models.predict_fn(fast)(images), expected, atol=1e-5)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def same(one, other):
    ours, theirs = (models.load(run.model_path).get_weights() for run in (one, other))
    return all((a == b).all() for a, b in zip(ours, theirs, strict=True))


def test_it_is_resumed_from_the_copy_and_trained_again_bit_for_bit(net, tmp_path):
    settings = dataclasses.replace(QUICK, model=f"{net}:build")
    whole = training.train(settings, runs=tmp_path, name="whole")
    with pytest.raises(Stopped):
        training.train(settings, runs=tmp_path, name="cut", extra_callbacks=[Interrupt()])
    net.write_text("raise SystemExit('changed')")
    cut = training.resume(tmp_path / "cut")
    assert same(whole, cut)
    again = reproduction.reproduce(records.read(whole.path), runs=tmp_path)
    assert again.same_weights
    assert (again.run.path / "model.py").read_text() == NET


def test_a_saved_model_starts_from_its_weights(digits, tmp_path):
    keras.utils.set_random_seed(5)
    model = small("softmax")
    model.save(tmp_path / "start.keras")
    told = []
    run = training.train(
        "digits",
        model=tmp_path / "start.keras",
        epochs=1,
        learning_rate=1e-9,
        schedule="constant",
        warmup=0,
        precision="float32",
        runs=tmp_path,
        listen=told.append,
    )
    assert run.name == "own"
    assert any("starts from the weights" in each for each in told if isinstance(each, str))
    pairs = zip(model.trainable_weights, models.load(run.model_path).trainable_weights, strict=True)
    assert all(np.allclose(a, b, atol=1e-6) for a, b in pairs)
    assert (run.path / "start.keras").exists()


def test_a_model_and_pictures_in_memory_are_trained_and_stay_as_they_are(digits, tmp_path):
    few = digits.subset(np.arange(300))
    model = small()
    before = model.get_weights()
    settings = {"epochs": 2, "runs": tmp_path, "seed": 4, "precision": "float32"}
    whole = tenfold.train(few, model=model, name="whole", **settings)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert whole.config.model == f"memory:{model.name}"
    with pytest.raises(Stopped):
        tenfold.train(few, model=model, name="cut", extra_callbacks=[Interrupt()], **settings)
    with pytest.raises(DataError, match="not the pictures"):
        tenfold.resume(tmp_path / "cut", data=digits)
    assert same(whole, tenfold.resume(tmp_path / "cut", data=few))
    with pytest.raises(UsageError, match="in the memory of a Python program"):
        training.train(whole.config, runs=tmp_path)


@pytest.mark.parametrize(
    ("scaled", "asked", "decided"),
    [(True, "auto", "none"), (False, "auto", "unit"), (False, "none", "none"), (True, "unit", "unit")],
)
def test_pixels_are_scaled_where_nobody_does(digits, scaled, asked, decided):
    model = small(scaled=scaled)
    found = adopted("memory:net", digits, model, scaling=asked)
    assert found.scaling == decided
    assert found.applied(QUICK).scaling == decided
    assert any("Rescaling(1/255) was put in front" in note for note in found.notes) == (
        asked == "auto" and decided == "unit"
    )
    images = digits.images[:8]
    expected = likeness.answers(model, images / (255 if decided == "unit" else 1), training=False)
    for form in (found.model, layout.original(found.model)):
        np.testing.assert_allclose(likeness.answers(form, images, training=False), expected, atol=1e-4)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = keras.Sequential([k.Conv2D(4, 5, strides=4), k.Flatten(), k.Dense(10)])

    def call(self, inputs):
        return keras.ops.softmax(self.inner(inputs / 255))


def functional(end):
    inputs = keras.Input((None, None, 3))
    x = k.GlobalAveragePooling2D()(k.Conv2D(4, 3)(k.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, end(k.Dense(10)(x)))


ENDINGS = {
    "dense": (lambda: small("softmax"), False),
    "logits": (lambda: small(None), True),
    "activation": (lambda: functional(k.Activation("softmax")), False),
    "softmax": (lambda: functional(k.Softmax()), False),
    "operation": (lambda: functional(keras.ops.softmax), True),
    "nested": (lambda: keras.Sequential([k.Rescaling(1 / 255), small("softmax", scaled=False)]), True),
    "subclassed": (Subclassed, True),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_whatever_it_ends_in_the_answers_are_its_own(name, digits):
    make, logits = ENDINGS[name]
    model = make()
    images = digits.images[:8]
    found = adopted("memory:net", digits, model)
    expected = likeness.answers(model, images, training=False)
    if name == "logits":
        expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    portable = layout.original(found.model)
    assert models.returns_logits(portable) == models.returns_logits(found.model) == logits
    for form in (portable, found.model):
        np.testing.assert_allclose(models.predict_fn(form)(images), expected, atol=1e-4)
    assert portable.input_shape == (None, 32, 32, 3)
    answers, features = models.observe_fn(portable)(images)
    np.testing.assert_allclose(answers, expected, atol=1e-4)
    assert features is None or features.ndim == 2


def test_a_subclassed_model_is_told_what_cannot_be_seen_in_it(digits):
    found = adopted("memory:net", digits, Subclassed(), precision="mixed_bfloat16")
    assert found.precision == "float32"
    notes = " ".join(found.notes)
    assert "trains as it is written" in notes
    assert "does not show whether it scales" in notes
    assert "Subclassed: code of your own" in notes


def test_what_cannot_be_rebuilt_trains_as_it_is(digits, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("its answers would differ by 0.5")

    monkeypatch.setattr(owned.likeness, "faithful", refuse)
    settings = dataclasses.replace(QUICK, model="memory:net", precision="mixed_bfloat16", epochs=1)
    found = preparation.adopt(dataclasses.replace(settings, backend=keras.backend.backend()), digits, small())
    assert found.precision == "float32"
    assert "trains as it is written" in found.notes[0]
    portable = layout.original(found.model)
    assert portable is not found.model
    model = preparation.build(found.applied(settings), digits, found)
    model.train_on_batch(digits.images[:64], digits.labels[:64])
    np.testing.assert_allclose(
        models.predict_fn(models.twin(model, "memory:net", data_format="channels_last"))(digits.images[:8]),
        models.predict_fn(model)(digits.images[:8]),
        atol=1e-5,
    )


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the layouts are torch's")
def test_it_learns_in_bfloat16_too(net, tmp_path):
    settings = dataclasses.replace(QUICK, model=f"{net}:build", precision="mixed_bfloat16")
    run = training.train(settings, runs=tmp_path)
    assert run.config.precision == "mixed_bfloat16"
    assert run.scores("validation")["accuracy"] > 0.8


def test_the_functions_are_called_as_they_ask(net, digits):
    assert adopted(f"{net}:ready", digits).kept["model.py"] == NET.encode()
    own = adopted(f"{net}:build", digits, model_options={"ending": "linear"})
    assert models.returns_logits(own.model)
    assert any("compile()" in note for note in adopted(f"{net}:compiled", digits).notes)
    assert any("Doubled: code of your own" in note for note in adopted(f"{net}:doubled", digits).notes)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("nett.py:build", r"nett\.py does not exist.*Did you mean 'net\.py'"),
        ("net.keras", "does not exist"),
        ("net.py:biuld", "Did you mean 'build'"),
        ("net.py:_hiden", "Unknown function"),
        ("net.py:broken", r"net\.py, line \d+: ValueError: .*The traceback is in"),
        ("net.py:leaving", r"net\.py, line \d+: SystemExit: no more"),
        ("net.py:number", "gives no Keras model.*Received: builtins.int"),
        ("net.py:demanding", "asks for depth.*--set model_options.depth=VALUE"),
        ("net.py:large", "takes pictures of 224 x 224.*--image-size 224"),
        ("net.py:grey", "must take pictures of any number, channels last"),
        ("net.py:flat", "must take pictures"),
        ("net.py:fixed", "must take pictures of any number"),
        ("net.py:spatial", r"must answer with one number a class: \(None, 10\)"),
        ("net.py:independent", "ends in a sigmoid"),
        ("net.py:anonymous", r"cannot be saved and opened again: it holds a keras\.layers\.Lambda"),
        ("net.py:unregistered", "it holds Unregistered.*register_keras_serializable"),
    ],
)
def test_what_cannot_be_used_is_answered_in_one_line(net, digits, model, told):
    with pytest.raises(UsageError, match=told) as caught:
        adopted(str(net.with_name(model.partition(":")[0])) + "".join(model.partition(":")[1:]), digits)
    assert "\n" not in str(caught.value)


def test_wrong_code_and_options_are_answered(net, digits):
    with pytest.raises(UsageError, match="Did you mean 'ending'"):
        adopted(f"{net}:build", digits, model_options={"endings": "linear"})
    with pytest.raises(UsageError, match="takes no options"):
        adopted(f"{net}:ready", digits, model_options={"width": 3})
    net.write_text("import keras\ndef build(:\n")
    with pytest.raises(UsageError, match=r"net\.py, line 2: SyntaxError"):
        adopted(f"{net}:build", digits)
    net.write_text("import nowhere_to_be_found\n")
    with pytest.raises(UsageError, match="line 1: ModuleNotFoundError: No module named 'nowhere"):
        adopted(f"{net}:build", digits)
    with pytest.raises(UsageError, match=r"answers? with one number a class.*--from"):
        adopted(
            "memory:net", digits.__class__(digits.images, digits.labels, tuple("ab"), digits.ids), small()
        )


def test_layers_of_ones_own_are_named_where_a_file_of_them_is_opened(net, tmp_path, monkeypatch):
    run = training.train(dataclasses.replace(QUICK, model=f"{net}:doubled", epochs=1), runs=tmp_path)
    monkeypatch.delitem(keras.saving.get_custom_objects(), "mine>Doubled")  # as in another program
    with pytest.raises(DataError, match=r"it holds Doubled, and no code is run.*serializable"):
        models.load(run.model_path)


@pytest.mark.slow
def test_everything_after_training_works_with_it(net, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", "digits", "--model", f"{net}:build", "--epochs", "2", "--quiet"]
    assert main([*words, "--dry-run", "--set", "model_options.scaled=false"]) == 0
    assert "Rescaling(1/255) was put in front" in capsys.readouterr().out
    assert main(words) == 0
    assert runs.open_run("runs/own").config.recipe == "own"
    net.unlink()  # what is needed of it, the run keeps
    picture = tmp_path / "five.png"
    picture.write_bytes(encode_png(datasets.load("digits", "test").images[0]))
    for words in (
        ["evaluate", "runs/own", "--split", "test"],
        ["export", "runs/own", "--format", "onnx"],
        ["export", "runs/own", "--format", "keras"],
        ["predict", "runs/own", str(picture)],
        ["explain", "runs/own", str(picture)],
        ["report", "runs/own"],
        ["reproduce", "runs/own", "--name", "again"],
        ["compare", "runs/own", "runs/again"],
    ):
        code = main(words)
        assert code == 0, (words, capsys.readouterr().err)
    assert "bit for bit" in capsys.readouterr().out
