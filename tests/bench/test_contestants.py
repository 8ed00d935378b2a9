"""Which forms of a model a bench finds."""

import shutil

import pytest

from tenfold import engines, runs
from tenfold.bench.contestants import contestants
from tenfold.errors import DataError


def test_the_model_and_every_export_take_part(exported):
    found = contestants(exported)
    assert (found[0].file, found[0].runtime, found[0].format) == ("model.keras", "keras", "")
    assert {one.file for one in found} == {"model.keras", "exports/model.onnx", "exports/broken.onnx"}
    onnx = [(one.runtime, one.precision) for one in found if one.file == "exports/model.onnx"]
    assert onnx[0] == ("onnxruntime", "float32")
    if "openvino" in engines.available():
        assert onnx[1:] == [("openvino", kind) for kind in engines.precisions("openvino")]


def test_sizes_count_all_files(exported, tmp_path):
    copy = runs.Run(shutil.copytree(exported.path, tmp_path / "copy"))
    copy.write("exports/model.xml", b"12345")
    copy.write("exports/model.bin", b"123")
    copy.write("exports/model.savedmodel/saved_model.pb", b"12")
    copy.write("exports/model.savedmodel/variables/v", b"1234")
    sizes = {one.file: one.bytes for one in contestants(copy)}
    assert sizes["exports/model.xml"] == 8
    assert sizes["exports/model.savedmodel"] == 6
    assert "exports/model.bin" not in sizes


def test_a_run_without_a_model_is_named(exported, tmp_path):
    copy = runs.Run(shutil.copytree(exported.path, tmp_path / "copy"))
    copy.model_path.unlink()
    with pytest.raises(DataError, match="has no model"):
        contestants(copy)
