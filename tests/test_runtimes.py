"""Exported files in the runtimes of their own formats."""

import json
import subprocess
import sys

import numpy as np
import pytest

from networks import built, pictures
from tenfold import exporting, models, runtimes
from tenfold.errors import DataError, MissingExtraError, UsageError
from tenfold.exporting.content import Content

for needed in ("onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(needed, reason="needs the extra `export`")

# TensorFlow's are opened in processes of their own: tests/exporting/test_formats.py.
HERE = ("keras", "onnx", "openvino", "torch")


@pytest.fixture(scope="module")
def content():
    return Content(built("tiny"), pictures(), {"class_names": json.dumps(list("abcdefghij"))})


@pytest.fixture(scope="module")
def files(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    paths = {name: folder / f"model{exporting.FORMATS[name].suffix}" for name in HERE}
    for name, path in paths.items():
        exporting.FORMATS[name].write(content, path)
    return paths


@pytest.mark.parametrize("count", [1, 3, 24])
@pytest.mark.parametrize("name", HERE)
def test_a_file_is_a_predict_fn_for_any_number_of_pictures(content, files, name, count):
    opened = runtimes.open_file(files[name])
    answers = opened(pictures()[:count])
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, models.predict_fn(content.model)(pictures()[:count]), atol=1e-5)
    assert opened.name == name
    assert opened.observe(pictures()[:count])[1] is None
    assert json.loads(opened.metadata["class_names"]) == list("abcdefghij")


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_the_number_of_threads_changes_no_answer(content, files, name):
    one, two = (runtimes.open_file(files[name], threads=count)(pictures()) for count in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_pictures_need_not_lie_in_order_in_memory(files):
    for name in HERE:
        opened, mirrored = runtimes.open_file(files[name]), pictures()[:, :, ::-1]
        np.testing.assert_allclose(opened(mirrored), opened(mirrored.copy()), atol=1e-6)


def test_a_format_is_known_by_its_ending_or_its_content(tmp_path):
    for name, runtime in runtimes.RUNTIMES.items():
        assert runtimes.format_of(tmp_path / f"x{runtime.suffix}") == name
    (tmp_path / "served" / "1").mkdir(parents=True)
    (tmp_path / "served" / "1" / "saved_model.pb").touch()
    assert runtimes.format_of(tmp_path / "served" / "1") == "saved_model"
    with pytest.raises(UsageError, match=r"tells no format.*\.tflite.*Received: suffix='\.h5'"):
        runtimes.open_file(tmp_path / "x.h5")
    with pytest.raises(UsageError, match="Did you mean 'litert'"):
        runtimes.open_file(tmp_path / "x.tflite", "litrt")


@pytest.mark.parametrize("name", HERE)
def test_what_cannot_be_opened_is_named(tmp_path, name):
    path = tmp_path / f"broken{runtimes.RUNTIMES[name].suffix}"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="broken"):
        runtimes.open_file(path)


def test_a_runtime_that_is_not_installed_gives_the_install_line(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"needs ai_edge_litert or tensorflow\. .*'tenfold\[litert\]'"
    ):
        runtimes.open_file(tmp_path / "x.tflite")


def test_all_files_of_an_export_are_listed(files, tmp_path):
    assert runtimes.files(files["onnx"]) == [files["onnx"]]
    assert runtimes.files(files["openvino"]) == [files["openvino"], files["openvino"].with_suffix(".bin")]
    (tmp_path / "variables").mkdir()
    for name in ("saved_model.pb", "variables/index"):
        (tmp_path / name).touch()
    assert runtimes.files(tmp_path) == [tmp_path / "saved_model.pb", tmp_path / "variables" / "index"]


def test_a_process_that_answers_loads_its_runtime_and_no_other(content, files, tmp_path):
    np.save(tmp_path / "pictures.npy", pictures(150))
    program = f"""
import sys
from pathlib import Path
from tenfold import runtimes
runtimes.SINGLES = 0.0
runtimes.answer(Path({str(files["onnx"])!r}), "onnx", Path({str(tmp_path)!r}))
loaded = {{"keras", "torch", "tensorflow", "openvino", "matplotlib", "sklearn"}} & set(sys.modules)
sys.exit(", ".join(loaded) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "answers.npz") as found:
        expected = models.predict_fn(content.model)(pictures(150))
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
        assert len(found["rows"]) == len(set(found["rows"].tolist())) == 100  # no more without time
        np.testing.assert_allclose(found["singles"], expected[found["rows"]], atol=1e-5)
        assert str(found["version"]).startswith("onnxruntime ")
