"""A turn: opens one form of the model, times it and lets it answer."""

import json

import numpy as np
import pytest

from tenfold import engines, splits
from tenfold.bench import turn
from tenfold.bench.turn import BATCHES, Task


@pytest.fixture
def task(exported, tmp_path):
    """A function that makes a task for a file of the run's exports."""
    pictures = splits.open_split(exported, "validation").images
    np.save(tmp_path / "pictures.npy", pictures)

    def make(name, format="onnx", engine="", precision="float32"):
        return Task(
            run=str(exported.path),
            path=str(exported.path / name),
            format=format,
            engine=engine,
            precision=precision,
            threads=1,
            pictures=str(tmp_path / "pictures.npy"),
            seconds=0.01,
            answers=str(tmp_path / "answers.npy"),
        )

    return make


def test_it_times_every_batch_and_answers_every_picture(exported, task, tmp_path):
    found = turn.take(task("exports/model.onnx"))
    assert list(found["seconds"]) == [str(batch) for batch in BATCHES]
    assert len(found["seconds"]["1"]) >= 20
    assert min(min(times) for times in found["seconds"].values()) > 0
    assert found["load_seconds"] > 0
    assert found["memory_bytes"] > 2**24
    assert found["precision"] == "float32"
    kept = exported.predictions("validation")["probabilities"]
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), kept, atol=1e-4)


def test_the_model_itself_answers_as_its_export(exported, task, tmp_path):
    turn.take(task("model.keras", format=""))
    kept = exported.predictions("validation")["probabilities"]
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), kept, atol=1e-4)


def test_an_engine_computes_in_what_it_is_told(exported, task):
    pytest.importorskip("openvino", reason="needs the extra `export`")
    kind = engines.precisions("openvino")[-1]
    assert turn.take(task("exports/model.onnx", "", "openvino", kind))["precision"] == kind


def test_what_cannot_be_opened_is_told(task, tmp_path):
    turn.order(task("exports/broken.onnx"), tmp_path / "task.json")
    turn.main(str(tmp_path / "task.json"), str(tmp_path / "result.json"))
    found = json.loads((tmp_path / "result.json").read_text())
    assert "cannot be opened as onnx" in found["error"]
