"""Run folders: made without loss, written whole, read back as written."""

import json

import numpy as np
import pytest

from tenfold import runs
from tenfold.config import Config, to_yaml
from tenfold.errors import DataError, ResourceError, UsageError


@pytest.fixture
def run(tmp_path):
    made = runs.create(tmp_path / "runs", "fast")
    made.write("config.yaml", to_yaml(Config()))
    return made


def test_a_name_that_is_taken_gets_a_number(run):
    again = runs.create(run.path.parent, "fast")
    assert again.path.name == "fast-2"
    again.write("config.yaml", "")
    assert runs.create(run.path.parent, "fast").path.name == "fast-3"


def test_a_run_below_the_home_folder_is_made_and_opened(run, monkeypatch):
    monkeypatch.setenv("HOME", str(run.path.parent))
    assert runs.open_run("~/fast").path == run.path
    assert runs.create("~", "other").path == run.path.parent / "other"


def test_overwriting_empties_the_run_but_keeps_its_ledger(run):
    run.write("plots/a.png", b"x")
    run.append("ledger.jsonl", {"sha256": "abc"})
    again = runs.create(run.path.parent, "fast", exist_ok=True)
    assert [path.name for path in again.path.iterdir()] == ["ledger.jsonl"]
    assert again.looks[0]["sha256"] == "abc"


def test_a_folder_that_is_no_run_is_never_emptied(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="is no run"):
        runs.create(tmp_path, "photos", exist_ok=True)
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["", "a/b", "..", "."])
def test_a_name_is_no_path(tmp_path, name):
    with pytest.raises(UsageError, match="one folder name"):
        runs.create(tmp_path, name)


def test_no_room_for_a_run_is_one_line(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ResourceError, match="--runs"):
        runs.create(tmp_path / "runs", "fast")


def test_a_file_is_written_whole_or_not_at_all(run):
    run.write("data.json", {"class_names": ["a", "b"]})
    with pytest.raises(ZeroDivisionError), run.replacing("data.json") as path:
        path.write_text(f"half of {1 / 0}")
    assert run.class_names == ("a", "b")
    assert {path.name for path in run.path.iterdir()} == {"config.yaml", "data.json"}


def test_history_and_settings_come_back(run):
    run.write("history.csv", "epoch,loss,val_loss\n1,0.5,\n2,0.25,0.3\n")
    assert run.history == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 0.3}]
    assert run.config == Config()


def predictions(n, classes=3, seed=0):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes), n).astype("float32")
    labels = random.integers(0, classes, n)
    return {
        "ids": [f"p{i}" for i in range(n)],
        "labels": labels,
        "predicted": probabilities.argmax(axis=1),
        "probabilities": probabilities,
    }


def test_predictions_of_each_split_come_back_as_saved(run):
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    first, second = predictions(50), predictions(20, seed=1)
    run.save_evaluation("validation", {"accuracy": 0.5}, first, images)
    run.save_evaluation("test", {"accuracy": 0.25}, second, images[:20])
    run.save_evaluation("test", {"accuracy": 0.75}, second, images[:20])
    for split, saved in (("validation", first), ("test", second)):
        found = run.predictions(split)
        assert found["ids"] == saved["ids"]
        for name in ("labels", "predicted", "probabilities"):
            np.testing.assert_array_equal(found[name], saved[name])
    assert run.scores("test") == {"accuracy": 0.75}
    assert run.scores("train") is None


def test_the_gallery_holds_mistakes_and_right_answers_with_their_rows(run):
    saved = predictions(50)
    images = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    run.save_evaluation("test", {}, saved, images)
    kept, rows = run.gallery("test")
    assert (kept[:, 0, 0, 0] == rows).all()
    wrong = np.flatnonzero(saved["labels"] != saved["predicted"])
    assert set(wrong) <= set(rows.tolist())
    confidence = saved["probabilities"].max(axis=1)[rows[: len(wrong)]]
    assert (np.diff(confidence) <= 0).all()
    assert run.gallery("validation") is None


def test_what_is_missing_is_said(run, tmp_path):
    with pytest.raises(DataError, match="tenfold evaluate"):
        run.predictions("test")
    with pytest.raises(DataError, match=r"history\.csv cannot be read"):
        _ = run.history
    with pytest.raises(UsageError, match="Did you mean 'fast'"):
        runs.open_run(run.path.parent / "fats")
    with pytest.raises(UsageError, match="tenfold train"):
        runs.open_run(tmp_path / "nowhere" / "fast")


def test_events_are_dated_lines(run):
    run.append("events.jsonl", {"event": "started"})
    entry = json.loads((run.path / "events.jsonl").read_text())
    assert entry["event"] == "started"
    assert entry["at"].endswith("+00:00")


def test_a_run_that_came_to_nothing_leaves_nothing(run):
    run.write("gallery/train.npz", b"x")
    runs.discard(run)
    assert not run.path.exists()


def test_a_ledger_outlives_a_run_that_came_to_nothing(run):
    run.append("ledger.jsonl", {"sha256": "abc"})
    runs.discard(run)
    assert [path.name for path in run.path.iterdir()] == ["ledger.jsonl"]
    assert runs.create(run.path.parent, "fast", exist_ok=True).looks[0]["sha256"] == "abc"
