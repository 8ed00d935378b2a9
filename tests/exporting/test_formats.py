"""Every format: from a run to files that answer as the model does, in programs that know nothing of us."""

import functools
import json
import os
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from networks import BUILDERS, built, pictures, rich
from tenfold import cli, engines, exporting, images, models, runs, runtimes, splits
from tenfold.abstention import fit_familiarity
from tenfold.errors import GateError, MissingExtraError, TenfoldError, UsageError
from tenfold.exporting import gate
from tenfold.exporting.content import Content

for needed in ("onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(needed, reason="needs the extra `export`")
pytest.importorskip("tensorflow", reason="needs the extra `tensorflow`")

GATED = sorted(name for name, known in exporting.FORMATS.items() if known.gated)
QUICK = ["litert", "onnx", "saved_model"]  # the others open quickly: tests/test_runtimes.py
ROUNDED = sorted(name for name, known in exporting.FORMATS.items() if known.rounded and known.gated)


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """A run exported with all that can go into a file, in the formats of two exporters and of TensorFlow."""
    place, leave = tmp_path_factory.mktemp("all") / "run", shutil.ignore_patterns("exports")
    copy = runs.open_run(shutil.copytree(run.path, place, ignore=leave))
    made = exporting.exports(copy, QUICK, views="flip", max_error=0.5)
    return copy, {item.parity.format: item for item in made}


def test_files_pass_the_gate(whole):
    run, made = whole
    assert sorted(made) == QUICK
    for name, item in made.items():
        assert item.path == run.path / "exports" / f"model-flip{exporting.FORMATS[name].suffix}"
        assert item.parity.agreement == 1
        assert item.parity.difference <= 1e-4
        assert item.parity.familiarity_difference <= 1e-4
        assert item.parity.pictures == run.splits["splits"]["validation"]["count"]
        assert item.parity.singles >= 100
    names = {file.name for file in (run.path / "exports").iterdir()}
    assert names == {item.path.name for item in made.values()} | {"parity.json"}


def test_int8_that_changes_too_many_answers_is_written_again_with_care(run, monkeypatch):
    check, refused = gate.check, []

    def strict(*words):
        found = check(*words)
        if not refused:
            refused.append(found.agreement)
            raise GateError("Too many.")
        return found

    monkeypatch.setattr(gate, "check", strict)
    (made,) = exporting.exports(run, ["onnx"], precision="int8")
    assert engines.metadata(made.path)["int8"] == "weights, and what products take"
    assert made.parity.agreement >= refused[0]
    monkeypatch.setattr(gate, "check", check)
    (plain,) = exporting.exports(run, ["onnx"], precision="int8")
    assert "int8" not in engines.metadata(plain.path)


def test_every_file_says_what_it_is(whole):
    run, made = whole
    for name in QUICK:
        if name == "litert":
            with zipfile.ZipFile(made[name].path) as archive:
                assert archive.read("labels.txt").decode().split() == list(run.class_names)
                told = json.loads(archive.read(runtimes.METADATA))
        elif name == "saved_model":
            extra = made[name].path / "assets.extra"
            assert (extra / "labels.txt").read_text().split() == list(run.class_names)
            told = json.loads((extra / runtimes.METADATA).read_text())
        else:
            told = runtimes.open_file(made[name].path).metadata
        assert json.loads(told["class_names"]) == list(run.class_names)
        assert told["source_sha256"] == engines.digest(run.model_path)
        assert (told["views"], told["fit"]) == ("flip", run.config.fit)
        assert told["image_size"] == str(run.data["image_size"])
        assert float(told["sure_from"]) >= 0


PLAIN = """
import sys
sys.modules.update(keras=None, tenfold=None)  # neither is needed
from pathlib import Path
import numpy as np
import tensorflow as tf
folder, place = Path(sys.argv[1]), Path(sys.argv[2])
loaded = tf.saved_model.load(folder)
arrays, encoded = loaded.signatures["serving_default"], loaded.signatures["serve_bytes"]
assert set(arrays.structured_input_signature[1]) == {"image"}
assert set(encoded.structured_input_signature[1]) == {"image_bytes"}
pictures = np.load(place / "pictures.npy")
files = [path.read_bytes() for path in sorted(place.glob("*.png"))]
plain = arrays(image=tf.constant(pictures))
from_files = encoded(image_bytes=tf.constant(files))
examples = [
    tf.train.Example(features=tf.train.Features(feature={
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    })).SerializeToString()
    for file in files
]
classified = loaded.signatures["classify"](inputs=tf.constant(examples))
np.savez(
    place / "found.npz",
    **{name: value.numpy() for name, value in plain.items()},
    **{f"files {name}": value.numpy() for name, value in from_files.items()},
    **{name: value.numpy() for name, value in classified.items()},
)
"""


def test_a_saved_model_answers_in_plain_tensorflow_arrays_files_and_examples(whole, tmp_path):
    run, made = whole
    held = gate.held(run).images[:5]
    np.save(tmp_path / "pictures.npy", held)
    for number, picture in enumerate(held):
        (tmp_path / f"{number}.png").write_bytes(images.encode_png(picture))
    command = [sys.executable, "-c", PLAIN, str(made["saved_model"].path), str(tmp_path)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz", allow_pickle=True) as arrays:
        found = dict(arrays)
    expected = runtimes.open_file(made["onnx"].path)(held)
    for name in ("probabilities", "files probabilities", "scores"):
        np.testing.assert_allclose(found[name], expected, atol=1e-4)
    labels = [run.class_names[best].encode() for best in expected.argmax(axis=1)]
    assert found["label"].tolist() == found["files label"].tolist() == labels
    assert found["classes"].tolist() == [[name.encode() for name in run.class_names]] * 5
    assert found["familiarity"].shape == found["sure"].shape == (5,)


def test_several_formats_at_once_from_the_command_line(run, tmp_path, capsys):
    copy = shutil.copytree(run.path, tmp_path / "copy")
    assert cli.main(["export", str(copy), "--format", "openvino", "onnx"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [str(copy / "exports" / name) for name in ("model.xml", "model.onnx")]
    assert "model.xml: the model's class for 100.00% of " in shown.err
    assert cli.main(["export", str(copy), "--format", "torch", "--int8"]) == 2
    assert "Expected: one of onnx, openvino, litert" in capsys.readouterr().err
    assert cli.main(["export", str(copy), "--format", "onnx", "torch", "--output", "x"]) == 2
    assert "One path takes one format" in capsys.readouterr().err


def test_without_tensorflow_its_formats_are_an_optional_part(run, monkeypatch):
    found = __import__("importlib.util").util.find_spec
    absent = ("tensorflow", "ai_edge_litert")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in absent else found(name))
    for name in ("saved_model", "litert"):
        with pytest.raises(MissingExtraError, match=r"pip install 'tenfold\[tensorflow\]'"):
            exporting.export(run, name)


@pytest.mark.slow
def test_what_tensorflow_says_is_passed_on(tmp_path):
    content = Content(built("tiny"), pictures())
    with pytest.raises(TenfoldError, match="cannot be written by TensorFlow as saved_model"):
        exporting.FORMATS["saved_model"].write(content, tmp_path / "no" / "file.txt" / "\0")


def test_a_torch_file_of_another_backend_is_told_how(tmp_path, monkeypatch):
    monkeypatch.setattr(models.keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="Received: backend=jax"):
        exporting.FORMATS["torch"].write(Content(built("tiny"), pictures()), tmp_path / "x.pt2")


@pytest.mark.slow
def test_batch_norm_is_folded_in_litert_too(tmp_path):
    """A convolution with batch norm after it is one operation, as the runtime has none to spare."""
    pytest.importorskip("tensorflow")
    path = tmp_path / "model.tflite"
    exporting.FORMATS["litert"].write(Content(built("residual"), pictures()), path)
    program = f"""
import collections, json, sys
sys.modules["keras"] = None
import tensorflow as tf
interpreter = tf.lite.Interpreter({str(path)!r})
print(json.dumps(collections.Counter(one["op_name"] for one in interpreter._get_ops_details())))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["CONV_2D"] == 10
    # Before a convolution batch norm cannot be folded: one product and sum for each of these three blocks.
    assert counts.get("SUB", 0) + counts.get("RSQRT", 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("form", GATED)
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_format_of_every_kind_of_network(name, form, tmp_path):
    content = rich(built(name), pictures(200))
    path = tmp_path / f"model{exporting.FORMATS[form].suffix}"
    exporting.FORMATS[form].write(content, path)
    held = gate.Held(content.images, None, "train")
    parity = gate.check(path, form, "float32", gate.expected(content, content.images), held)
    assert parity.familiarity_difference <= 1e-4


@pytest.fixture(scope="module")
def learnt(run):
    """A function that trains one of `BUILDERS` on half of the run's digits, once; that half, and the other.

    Of the other, 600, the gate's half a per cent is three pictures; of a validation split it were none.
    """
    digits = splits.read_again(run).train
    rows = np.random.default_rng(0).permutation(len(digits))
    own, others = digits.subset(rows[600:]), digits.subset(rows[:600])

    @functools.cache
    def train(name):
        keras.utils.set_random_seed(0)
        model = BUILDERS[name]()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=models.returns_logits(model))
        model.compile("adam", loss)
        model.fit(own.images, own.labels, batch_size=32, epochs=20, verbose=0)
        return model

    return train, own, others


@pytest.mark.slow
@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("form", ROUNDED)
@pytest.mark.parametrize("name", ["fast", "tiny", "residual"])
def test_int8_of_networks_that_have_learnt(learnt, tmp_path, name, form, careful):
    train, own, others = learnt
    known, path = exporting.FORMATS[form], tmp_path / f"model{exporting.FORMATS[form].suffix}"
    model, images = train(name), others.images
    answers, features = models.observe_fn(model)(images)
    familiarity = fit_familiarity(features, answers.argmax(axis=1), model.output_shape[-1])
    content = Content(model, images, known=familiarity, rounding=own.images[:512], careful=careful)
    known.rounded(content, path)
    held = gate.Held(images, others.labels, "validation")
    parity = gate.check(path, form, "int8", gate.expected(content, held.images), held)
    assert parity.model_accuracy > 0.9
    assert parity.difference > 1e-5
    if name == "fast":  # of the others, dense layers or the graph are the most
        known.write(content, tmp_path / f"plain{known.suffix}")
        plain = runtimes.files(tmp_path / f"plain{known.suffix}")
        assert parity.bytes < 0.7 * sum(file.stat().st_size for file in plain)
