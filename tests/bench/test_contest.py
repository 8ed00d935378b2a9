"""A bench from end to end: processes of their own, tables, files, and no look at the test pictures."""

import json
import shutil

import pytest

from tenfold import runs
from tenfold.bench import bench
from tenfold.cli import main
from tenfold.errors import UsageError


@pytest.fixture(scope="module")
def found(exported):
    """A quick bench, how far it said it had come, and the run."""
    told = []
    result = bench(exported, threads=(1,), rounds=1, seconds=0.01, listen=lambda *at: told.append(at))
    return result, told, exported


def test_every_form_is_measured(found):
    result, told, run = found
    good = [row for row in result.rows if not row.note]
    assert {row.file for row in good} == {"model.keras", "exports/model.onnx"}
    for row in good:
        assert 0 < row.latency_p50 <= row.latency_p99
        assert row.images_per_second.keys() == {"1", "64", "256"}
        assert row.load_seconds > 0
        assert row.bytes == (run.path / row.file).stat().st_size
    assert told[-1] == (len(result.rows), len(result.rows))


def test_each_has_memory_of_its_own(found):
    """A file in onnxruntime needs far less than Keras, and nothing of what the parent holds."""
    memory = {(row.file, row.runtime): row.memory_bytes for row in found[0].rows if not row.note}
    assert memory["exports/model.onnx", "onnxruntime"] < 0.6 * memory["model.keras", "keras"]


def test_scores_are_those_of_validation(found):
    result, _, run = found
    kept = run.scores("validation")
    assert result.pictures == kept["pictures"]
    for row in result.rows:
        if row.precision == "float32" and not row.note:
            assert row.accuracy == pytest.approx(kept["accuracy"])
            assert row.agreement == 1
            assert row.accuracy_interval == pytest.approx(tuple(kept["accuracy_interval"]))
            assert row.calibration_error == pytest.approx(kept["calibration"]["calibration_error"], abs=1e-3)
    assert run.looks == []


def test_what_cannot_be_measured_says_why(found):
    (broken,) = [row for row in found[0].rows if row.file == "exports/broken.onnx"]
    assert "cannot be opened as onnx" in broken.note
    assert broken.latency_p50 is None
    assert broken.accuracy is None


def test_all_of_it_is_kept(found):
    result, _, run = found
    kept = json.loads((run.path / "exports" / "bench.json").read_text())
    assert kept["rows"][0]["latency_p50"] == result.rows[0].latency_p50
    assert kept["machine"]["onnxruntime"]
    assert (run.path / "exports" / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_shows_tables_and_goes_without_validation(exported, tmp_path, capsys):
    copy = runs.Run(shutil.copytree(exported.path, tmp_path / "copy"))
    for name in ("broken.onnx", "model.onnx"):
        (copy.path / "exports" / name).unlink()
    whole = {**copy.splits, "splits": {"train": copy.splits["splits"]["train"]}}
    copy.write("splits.json", whole)
    words = ["bench", str(copy.path), "--threads", "1", "--rounds", "1", "--seconds", "0.01"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "model.keras" in shown
    assert "one picture" in shown
    assert "No scores: " in shown
    assert str(copy.path / "exports" / "bench.json") in shown


def test_nonsense_is_named(exported):
    with pytest.raises(UsageError, match="Received: rounds=0"):
        bench(exported, rounds=0)
    with pytest.raises(UsageError, match=r"threads=\(0,\)"):
        bench(exported, threads=(0,))


def test_the_command_exports_first(exported, capsys):
    assert main(["bench", str(exported.path), "--format", "onx"]) == 2
    assert "Did you mean 'onnx'" in capsys.readouterr().err
