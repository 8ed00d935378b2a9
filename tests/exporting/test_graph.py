"""ONNX files: the same answers as the model, whatever the architecture; kept only when that is so."""

import json
import shutil

import keras
import numpy as np
import pytest

import tenfold
from networks import SMALL, architectures, pictures, shaken
from tenfold import engines, exporting, models, runs, views
from tenfold.abstention import fit_familiarity
from tenfold.calibration import Calibrator, calibrator
from tenfold.errors import DataError, GateError, MissingExtraError, TenfoldError, UsageError

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
pytest.importorskip("onnxscript", reason="needs the extra `export`")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
pytest.importorskip("openvino", reason="needs the extra `export`")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return shaken(models.build("fast", (32, 32, 3), 10, options={"width": 0.25}))


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    return exporting.onnx(model, tmp_path_factory.mktemp("exports") / "model.onnx", images=pictures())


@pytest.mark.parametrize("name", architectures("convnext", "resnet20", "vit"))
def test_every_architecture_is_exported_and_checked(name, tmp_path):
    model = shaken(models.build(name, (32, 32, 3), 4, options=SMALL.get(name)))
    path = exporting.onnx(model, tmp_path / "model.onnx", images=pictures(8))
    answers = engines.open_file(path, "onnxruntime")(pictures(8))
    np.testing.assert_allclose(answers, models.predict_fn(model)(pictures(8)), atol=5e-5)


def test_the_file_is_small_standard_and_whole(model, file):
    loaded = onnx.load(file)
    onnx.checker.check_model(loaded, full_check=True)
    assert {entry.domain for entry in loaded.opset_import} == {""}
    (image,), (probabilities,) = loaded.graph.input, loaded.graph.output
    shape = [part.dim_param or part.dim_value for part in image.type.tensor_type.shape.dim]
    assert (image.name, shape) == ("image", ["batch", 32, 32, 3])
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert probabilities.name == "probabilities"
    assert file.stat().st_size < 4 * model.count_params() + 50_000
    kinds = [node.op_type for node in loaded.graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Transpose") == 1  # of the pictures
    assert kinds[kinds.index("ReduceMax") - 2 :][:2] == ["Conv", "Gelu"]  # batch norm is in the convolution
    assert [path.name for path in file.parent.iterdir()] == ["model.onnx"]


class Stubborn(keras.layers.Layer):
    """Looks at the pixels to decide, which no graph can hold."""

    def call(self, inputs):
        return inputs * 2 if float(inputs.max()) > 3 else inputs

    def compute_output_shape(self, shape):
        return shape


def test_what_cannot_be_written_is_said_and_keras_stays_as_it_was(tmp_path):
    call = keras.layers.BatchNormalization.call
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(Stubborn()(inputs)))
    with pytest.raises(TenfoldError, match="cannot be written as ONNX") as raised:
        exporting.onnx(keras.Model(inputs, outputs), tmp_path / "model.onnx", images=pictures(4, 8))
    assert "\n" not in str(raised.value)
    with pytest.raises(TenfoldError, match="cannot be written as a program of torch"):
        exporting.FORMATS["torch"].write(
            exporting.Content(keras.Model(inputs, outputs), pictures(4, 8)), tmp_path / "model.pt2"
        )
    assert keras.layers.BatchNormalization.call is call
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["flip", "shift"])
@pytest.mark.parametrize("ending", ["logits", "softmax"])
def test_views_inside_agree_with_views_outside(name, ending, model, tmp_path):
    if ending == "softmax":
        model = models.build("tiny", (32, 32, 3), 10)
    path = exporting.onnx(model, tmp_path / "model.onnx", images=pictures(), views=name)
    expected = views.averaged(models.predict_fn(model), name)(pictures())
    plain = models.predict_fn(model)(pictures())
    for engine in engines.ENGINES:
        answers = engines.open_file(path, engine)(pictures())
        np.testing.assert_allclose(answers, expected, atol=1e-5)
        assert np.abs(answers - plain).max() > 1e-4
    assert engines.metadata(path)["views"] == name


@pytest.mark.parametrize("name", ["none", "flip"])
@pytest.mark.parametrize("curve", [None, (-1.1, 1.3), (-6.0, 0.2)])
def test_calibration_is_inside(model, tmp_path, name, curve):
    sure = Calibrator(0.6, curve)
    path = exporting.onnx(model, tmp_path / "model.onnx", images=pictures(), views=name, calibrator=sure)
    expected = views.averaged(models.predict_fn(model, calibrator=sure), name)(pictures())
    for engine in engines.available():
        found = engines.open_file(path, engine)
        answers = found(pictures())
        np.testing.assert_allclose(answers, expected, atol=1e-4)
        np.testing.assert_array_equal(answers.argmax(axis=1), expected.argmax(axis=1))
        assert calibrator(json.loads(found.metadata["calibration"])) == sure


@pytest.mark.parametrize("name", ["none", "flip"])
def test_familiarity_and_sureness_are_outputs(model, tmp_path, name):
    answers, features = models.observe_fn(model)(pictures())
    known = fit_familiarity(features, answers.argmax(axis=1), 10)
    limit = float(np.median(answers.max(axis=1)))
    path = tmp_path / "model.onnx"
    exporting.onnx(model, path, images=pictures(), views=name, known=known, sure_from=limit)
    session = onnxruntime.InferenceSession(path)
    probabilities, familiar, sure = session.run(None, {"image": pictures()})
    assert [output.name for output in session.get_outputs()] == ["probabilities", "familiarity", "sure"]
    np.testing.assert_allclose(familiar, known(features), atol=1e-4)
    np.testing.assert_array_equal(sure, (probabilities.max(axis=1) >= limit) & (familiar >= known.least))
    assert 0 < sure.sum() < len(sure)
    observed = engines.open_file(path, "openvino").observe(pictures())
    np.testing.assert_allclose(observed[1], familiar, atol=1e-4)


def test_a_file_that_answers_otherwise_is_not_kept(model, tmp_path, monkeypatch):
    target = tmp_path / "model.onnx"
    target.write_bytes(b"the one before")
    real = models.predict_fn(model)
    monkeypatch.setattr(
        models, "predict_fn", lambda model, **more: lambda images: np.roll(real(images), 1, axis=1)
    )
    call = keras.layers.BatchNormalization.call
    with pytest.raises(GateError, match=r"Expected: probabilities within 0\.0001\. Received: difference=0\."):
        exporting.onnx(model, target, images=pictures())
    assert target.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [target]
    assert keras.layers.BatchNormalization.call is call


def test_missing_packages_are_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"onnxscript.*pip install 'tenfold\[export\]'"):
        exporting.onnx(model, tmp_path / "model.onnx", images=pictures())


def test_another_backend_is_told_how(model, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    with pytest.raises(UsageError, match="Received: backend=tensorflow"):
        exporting.onnx(model, tmp_path / "model.onnx", images=pictures())


def test_the_file_can_be_used_alone(run):
    path = exporting.export(run)
    assert path == run.path / "exports" / "model.onnx"
    told = engines.metadata(path)
    assert json.loads(told["class_names"]) == list(run.class_names)
    assert told["image_size"] == str(run.data["image_size"])
    assert told["fit"] == run.config.fit
    assert told["tenfold"] == tenfold.__version__
    assert told["source_sha256"] == engines.digest(run.model_path)


def test_it_goes_where_it_is_told(run, tmp_path):
    assert exporting.export(run, path=tmp_path / "in" / "x.onnx") == tmp_path / "in" / "x.onnx"
    assert (tmp_path / "in" / "x.onnx").exists()


def test_an_unknown_format_is_named(run):
    with pytest.raises(UsageError, match="Did you mean 'onnx'"):
        exporting.export(run, "onx")


def test_a_run_without_a_model_is_named(run, tmp_path):
    copy = shutil.copytree(run.path, tmp_path / "copy")
    (copy / "model.keras").unlink()
    with pytest.raises(DataError, match=r"model\.keras"):
        exporting.export(runs.open_run(copy))


def test_int8_is_written_beside_float32_and_says_how_close_it_is(run, capfd):
    path = exporting.export(run, precision="int8")
    assert path == run.path / "exports" / "model-int8.onnx"
    assert capfd.readouterr() == ("", "")
    told, plain = engines.metadata(path), engines.metadata(path.with_name("model.onnx"))
    assert {name: told[name] for name in plain} == plain
    assert (told["precision"], told["calibration_pictures"]) == ("int8", "512")
    assert told["checked_on"] == str(run.splits["splits"]["validation"]["count"])
    assert engines.SAME_IN_INT8 <= float(told["same_class"]) <= 1
    kept = {weight.data_type for weight in onnx.load(path).graph.initializer if len(weight.dims) == 4}
    assert kept == {onnx.TensorProto.INT8}


def test_int8_takes_views_and_a_place_too(run, tmp_path):
    path = exporting.export(run, views="flip", precision="int8", path=tmp_path / "x.onnx")
    assert path == tmp_path / "x.onnx"
    assert engines.metadata(path)["views"] == "flip"


def test_int8_that_answers_otherwise_is_not_kept(run, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "SAME_IN_INT8", 1.01)
    with pytest.raises(GateError, match=r"same class for 101% or more.*--precision float32"):
        exporting.export(run, precision="int8", path=tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_an_unknown_precision_is_named(run):
    with pytest.raises(UsageError, match="Did you mean 'int8'"):
        exporting.export(run, precision="int16")
