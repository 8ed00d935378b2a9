"""The choice of an engine: the fastest that is close enough, measured once for a file on a machine."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tenfold import engines, exporting, machine, models, runs, selection
from tenfold.errors import GateError, UsageError
from tenfold.selection import Measurement

pytest.importorskip("openvino", reason="needs the extra `export`")
pytest.importorskip("onnxruntime", reason="needs the extra `export`")


def noise(count):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    model = models.build("tiny", (8, 8, 3), 3)
    return exporting.onnx(model, tmp_path_factory.mktemp("file") / "m.onnx", images=noise(8))


FOUND = (
    Measurement("openvino", "float32", 100.0, 0.0, 1.0),
    Measurement("openvino", "bfloat16", 300.0, 0.01, 1.0),
    Measurement("onnxruntime", "float32", 90.0, 1e-6, 1.0),
)
ROUNDED = (
    Measurement("openvino", "int8", 500.0, 0.3, 0.9),
    Measurement("onnxruntime", "int8", 400.0, 0.3, 0.96),
)


@pytest.fixture
def measured(monkeypatch):
    """The calls of `measure`, which answers with what `found` holds."""
    calls, found = [], list(FOUND)

    def measure(path, images, *, batch, int8):
        calls.append(batch)
        return list(found if int8 is None else ROUNDED)

    monkeypatch.setattr(selection, "measure", measure)
    return calls, found


def chosen(file, **asked):
    found = selection.choose(file, noise(4), **asked)
    return found.engine, found.precision


def test_the_fastest_that_is_close_enough(file, measured):
    assert chosen(file) == ("openvino", "bfloat16")
    assert chosen(file, precision="float32") == ("openvino", "float32")
    assert chosen(file, engine="onnxruntime") == ("onnxruntime", "float32")


@pytest.mark.parametrize("off", [{"difference": 0.05}, {"agreement": 0.99}])
def test_fast_and_wrong_is_not_chosen(file, measured, off):
    _, found = measured
    found[1] = dataclasses.replace(found[1], **off)
    assert chosen(file) == ("openvino", "float32")


def test_when_all_are_wrong_a_gate_closes(file, measured):
    _, found = measured
    found[2] = dataclasses.replace(found[2], difference=0.5)
    with pytest.raises(GateError, match=r"difference=0\.5 by onnxruntime"):
        chosen(file, engine="onnxruntime")


def test_int8_is_chosen_only_where_it_is_asked_for(file, measured, tmp_path):
    calls, _ = measured
    run, copy = runs.Run(tmp_path), shutil.copy(file, tmp_path / "int8.onnx")
    for _ in range(2):
        assert chosen(file, int8=copy, run=run) == ("openvino", "bfloat16")
        assert chosen(file, precision="int8", int8=copy, run=run) == ("onnxruntime", "int8")
    assert len(calls) == 2
    with pytest.raises(GateError, match=r"same class for 95\.0%"):
        chosen(file, engine="openvino", precision="int8", int8=copy)
    with pytest.raises(UsageError, match="Received: int8=None"):
        chosen(file, precision="int8")


def test_an_unknown_precision_is_named(file, measured):
    with pytest.raises(UsageError, match="Did you mean 'float32'"):
        chosen(file, precision="float23")


def test_it_is_measured_once_for_each_batch(file, measured, tmp_path):
    calls, _ = measured
    run = runs.Run(tmp_path)
    for batch in (256, 256, 1, 1, 256):
        assert chosen(file, run=run, batch=batch) == ("openvino", "bfloat16")
    assert chosen(file, run=run, precision="float32") == ("openvino", "float32")
    assert calls == [256, 1]


def test_another_file_machine_or_number_of_threads_is_measured_anew(file, measured, tmp_path, monkeypatch):
    calls, _ = measured
    run, copy = runs.Run(tmp_path), tmp_path / "copy.onnx"
    shutil.copy(file, copy)
    chosen(copy, run=run)
    copy.write_bytes(copy.read_bytes() + b"\0")
    chosen(copy, run=run)
    monkeypatch.setattr(machine, "processor", lambda: "another")
    chosen(copy, run=run)
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    chosen(copy, run=run)
    assert len(calls) == 4


def test_a_damaged_memory_is_replaced(file, measured, tmp_path):
    (tmp_path / "engine.json").write_text("{")
    chosen(file, run=runs.Run(tmp_path))
    assert "measured" in json.loads((tmp_path / "engine.json").read_text())


def test_int8_is_measured_against_float32(file, tmp_path):
    int8 = exporting.int8(file, tmp_path / "int8.onnx", calibration=noise(64), images=noise(8))
    found = selection.measure(file, noise(32), batch=4, int8=int8, seconds=0)
    assert [(one.engine, one.precision) for one in found] == [(name, "int8") for name in engines.ENGINES]
    assert all(one.difference > 1e-5 for one in found)


def test_measuring_covers_what_is_at_hand(file):
    found = selection.measure(file, noise(32), batch=4, seconds=0)
    assert {one.engine for one in found} == set(engines.ENGINES)
    exact = [one for one in found if one.precision == "float32"]
    assert all(one.good and one.difference < 1e-5 and one.agreement == 1 for one in exact)
    assert all(one.images_per_second > 0 for one in found)
