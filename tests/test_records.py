"""Records: what a run was made of, in a folder or in a card, and one hash for all of its weights."""

import dataclasses
import shutil
import zipfile

import keras
import numpy as np
import pytest

from tenfold import models, records, runs
from tenfold.errors import DataError, UsageError
from tenfold.recipes import recipe
from tenfold.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=1, precision="float32")
    return train(settings, runs=tmp_path_factory.mktemp("runs"), name="first", command="tenfold train digits")


@pytest.fixture
def card(run, tmp_path):
    """A file that holds the record between other things."""
    path = tmp_path / "card.md"
    path.write_text(f"# Card\n\n```yaml\nother: 1\n```\n\n```yaml\n{records.record(run).to_yaml()}```\nEnd\n")
    return path


def test_a_card_holds_what_the_folder_does(run, card):
    folder, read = records.read(run.path), records.read(card)
    np.testing.assert_array_equal(read.right, folder.right)
    assert dataclasses.replace(read, right=None) == dataclasses.replace(folder, right=None)


def test_it_tells_what_the_run_was(run):
    found = records.record(run)
    assert (found.name, found.command, found.config) == ("first", "tenfold train digits", run.config)
    assert found.splits["train"]["sha256"] == run.splits["splits"]["train"]["sha256"]
    assert found.environment["torch"] == run.environment["torch"]
    assert found.right.mean() == pytest.approx(run.scores("validation")["accuracy"])


def test_weights_have_one_hash_however_often_they_are_saved(run, tmp_path):
    model = models.load(run.model_path)
    model.save(tmp_path / "again.keras")
    assert records.weights_sha256(tmp_path / "again.keras") == records.weights_sha256(run.model_path)
    weights = model.get_weights()
    weights[0].flat[0] = np.nextafter(weights[0].flat[0], np.float32(1))
    model.set_weights(weights)
    model.save(tmp_path / "other.keras")
    assert records.weights_sha256(tmp_path / "other.keras") != records.weights_sha256(run.model_path)


def test_what_dropout_drew_is_no_weight(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(2)])
    model.save(tmp_path / "a.keras")
    model(np.ones((1, 4), np.float32), training=True)
    model.save(tmp_path / "b.keras")
    assert records.weights_sha256(tmp_path / "a.keras") == records.weights_sha256(tmp_path / "b.keras")


@pytest.mark.parametrize("content", [b"no model", None])
def test_a_file_that_is_no_model_is_named(tmp_path, content):
    path = tmp_path / "model.keras"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.weights.h5", "no weights")
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.keras cannot be read as a Keras model"):
        records.weights_sha256(path)


def test_the_home_folder_stays_at_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    copy = runs.Run(shutil.copytree(run.path, tmp_path / "copy"))
    copy.write("command.txt", "tenfold train /home/jane/photos --runs /home/janet/runs --epochs 1\n")
    copy.write("data.json", {**run.data, "path": "/home/jane/photos"})
    text = (run.path / "config.yaml").read_text().replace("data: digits", "data: photos")
    copy.write("config.yaml", text.replace("teacher: null", "teacher: /home/jane/runs/big"))
    found = records.record(copy)
    assert found.command == "tenfold train ~/photos --runs /home/janet/runs --epochs 1"
    assert (found.config.data, found.config.teacher) == ("~/photos", "~/runs/big")


def test_predictions_that_are_gone_leave_no_answers(run, tmp_path, card):
    copy = runs.Run(shutil.copytree(run.path, tmp_path / "copy"))
    (copy.path / "predictions.parquet").unlink()
    found = records.record(copy)
    assert found.right is None
    card.write_text(f"```yaml\n{found.to_yaml()}```\n")
    assert records.read(card).right is None


def test_no_run_and_no_card(tmp_path):
    with pytest.raises(UsageError, match="not a run folder"):
        records.read(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["# A card of another tool", "```yaml\nconfig: {}\n```"])
def test_a_card_without_a_record_is_named(tmp_path, text):
    (tmp_path / "card.md").write_text(text)
    with pytest.raises(DataError, match="holds nothing to reproduce"):
        records.read(tmp_path / "card.md")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("epochs: 1", "epochs: many"),
        ("epochs: 1", "epoch: 1"),
        ("right: ", "right: AAAA"),
        ("weights: ", "weight: "),
        ("splits:", "splits: 3\nrest:"),
    ],
)
def test_a_damaged_card_is_named(card, before, after):
    text = card.read_text()
    assert before in text
    card.write_text(text.replace(before, after))
    with pytest.raises(DataError, match="is damaged"):
        records.read(card)


def test_a_card_that_is_no_text_is_named(tmp_path):
    (tmp_path / "card.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as text"):
        records.read(tmp_path / "card.md")
