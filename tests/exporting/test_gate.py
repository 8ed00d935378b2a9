"""The parity gate: what answers otherwise is not kept, and what is kept says how near it is."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from networks import built, pictures
from tenfold import engines, exporting, runs
from tenfold.errors import GateError
from tenfold.exporting import gate
from tenfold.exporting.content import Content

pytest.importorskip("onnxscript", reason="needs the extra `export`")
pytest.importorskip("onnxruntime", reason="needs the extra `export`")


@pytest.fixture(scope="module")
def content():
    return Content(built("tiny"), pictures(200))


@pytest.fixture(scope="module")
def file(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.onnx"
    exporting.onnx(content.model, path, images=content.images)
    return path


@pytest.fixture(scope="module")
def held(content):
    answers = gate.expected(content, content.images).probabilities
    return gate.Held(content.images, answers.argmax(axis=1), "validation")


def test_a_file_that_answers_alike_says_how_near_it_is(content, file, held):
    parity = gate.check(file, "onnx", "float32", gate.expected(content, held.images), held)
    assert (parity.pictures, parity.singles) == (200, 200)
    assert parity.agreement == parity.singles_agreement == parity.accuracy == parity.model_accuracy == 1
    assert 0 < parity.difference < 1e-4
    assert parity.runtime.startswith("onnxruntime 1.")
    assert (parity.sha256, parity.bytes) == (engines.digest(file), file.stat().st_size)
    assert "100.00% of 200 validation pictures in onnxruntime" in str(parity)


def test_a_file_that_answers_otherwise_does_not_pass(content, file, held):
    expected = gate.expected(content, held.images)
    off = replace(expected, probabilities=expected.probabilities + np.float32(2e-4))
    with pytest.raises(GateError, match=r"probabilities within 0\.0001\. Received: .* difference=0\.0002"):
        gate.check(file, "onnx", "float32", off, held)
    other = replace(expected, probabilities=np.roll(expected.probabilities, 1, axis=1))
    for precision in ("float32", "int8"):
        with pytest.raises(GateError, match="so it is not kept"):
            gate.check(file, "onnx", precision, other, held)


def test_a_file_that_lacks_a_promised_output_does_not_pass(content, file, held):
    expected = replace(gate.expected(content, held.images), familiarity=np.zeros(200, np.float32))
    with pytest.raises(GateError, match="difference=nan"):
        gate.check(file, "onnx", "float32", expected, held)


def test_int8_may_differ_but_not_lose(content, file, held):
    expected = gate.expected(content, held.images)
    parity = gate.check(
        file, "onnx", "int8", replace(expected, probabilities=expected.probabilities * 0.9), held
    )
    assert parity.difference > 1e-3
    wrong = replace(held, labels=np.where(np.arange(200) < 2, (held.labels + 1) % 10, held.labels))
    better = np.array(expected.probabilities)
    better[:2] = np.eye(10, dtype=np.float32)[wrong.labels[:2]]
    with pytest.raises(GateError, match=r"1\.00% of accuracy lost"):
        gate.check(file, "onnx", "int8", replace(expected, probabilities=better), wrong)


def test_near_ties_are_no_difference_in_float32():
    reference = np.array([[0.5, 0.49995], [0.6, 0.4]], np.float32)
    answers = np.array([[0.49996, 0.5], [0.6, 0.4]], np.float32)
    assert gate.compare(reference, answers, 2e-4)[1] == 1
    assert gate.compare(reference, answers)[1] == 0.5


def test_a_file_that_its_runtime_cannot_open_is_named(tmp_path, held):
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"nothing")
    with pytest.raises(GateError, match=r"model\.onnx does not answer in onnxruntime"):
        gate.ask(broken, "onnx", held.images)


def test_held_pictures_are_validation_then_those_that_a_run_keeps(run, tmp_path):
    found = gate.held(run)
    assert (found.split, len(found.images)) == ("validation", run.splits["splits"]["validation"]["count"])
    copy = runs.open_run(shutil.copytree(run.path, tmp_path / "copy"))
    told = copy.splits
    told["splits"]["train"]["sha256"] = "another"
    copy.write("splits.json", told)
    kept = gate.held(copy)
    assert kept.split == "kept"
    np.testing.assert_array_equal(kept.images, engines.sample(run))
    assert kept.labels is None


def test_the_figures_lie_beside_the_files(run, tmp_path):
    leave = shutil.ignore_patterns("exports")
    copy = runs.open_run(shutil.copytree(run.path, tmp_path / "copy", ignore=leave))
    (made,) = exporting.exports(copy, ["onnx"])
    (elsewhere,) = exporting.exports(copy, ["onnx"], path=tmp_path / "x.onnx")
    known = json.loads((copy.path / "exports" / "parity.json").read_text())
    assert set(known) == {"model.onnx", str(elsewhere.path)}
    assert known["model.onnx"] == made.parity.to_dict()
    assert known["model.onnx"]["agreement"] == 1


def test_what_misses_the_gate_leaves_nothing(run, tmp_path, monkeypatch):
    target = tmp_path / "model.onnx"
    target.write_bytes(b"the one before")
    monkeypatch.setattr(gate, "BOUND", -1.0)
    with pytest.raises(GateError):
        list(exporting.exports(run, ["onnx"], path=target))
    assert target.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [target]
