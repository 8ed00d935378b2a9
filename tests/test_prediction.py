"""Predictor: files, folders and patterns in; labelled probabilities out; evaluation of a run's own splits."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tenfold import datasets, images, prediction
from tenfold.config import Augmentation
from tenfold.errors import DataError, UsageError
from tenfold.prediction import Failure, Prediction, Predictor
from tenfold.recipes import recipe
from tenfold.training import train


def quick(**changes):
    plain = dataclasses.replace(recipe("tiny"), augmentation=Augmentation(), precision="float32")
    return dataclasses.replace(plain, data="digits", epochs=2, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(quick(), runs=tmp_path_factory.mktemp("runs"), name="digits")


@pytest.fixture(scope="module")
def predictor(run):
    return Predictor(run)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty digits as PNG files in two folders, named after what they show."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = datasets.load("digits")
    for row in range(20):
        place = folder / ("one" if row < 10 else "two")
        place.mkdir(exist_ok=True)
        name = f"{digits.labels[row]}-{row:02d}.png"
        (place / name).write_bytes(images.encode_png(digits.images[row]))
    return folder


def test_files_give_the_same_answers_as_arrays(predictor, pictures):
    found = list(predictor.files([pictures]))
    assert len(found) == 20
    arrays = np.stack([images.decode(item.path) for item in found])
    direct = predictor.predict(arrays)
    assert direct.shape == (20, 10)
    assert direct.dtype == np.float32
    np.testing.assert_allclose(direct.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose([item.confidence for item in found], direct.max(axis=1), atol=1e-5)
    assert [item.label for item in found] == [str(row.argmax()) for row in direct]


def test_most_training_digits_are_named_right(predictor, pictures):
    found = list(predictor.files([pictures]))
    assert sum(item.label == item.path.name[0] for item in found) >= 15


def test_top_lists_the_most_probable_first(predictor, pictures):
    (item,) = predictor.files([next((pictures / "one").iterdir())], top=4)
    shares = [share for _, share in item.top]
    assert len(shares) == 4
    assert shares == sorted(shares, reverse=True)
    assert item.top[0] == (item.label, item.confidence)


def test_more_classes_than_there_are_lists_all(predictor, pictures):
    (item,) = predictor.files([next((pictures / "one").iterdir())], top=99)
    assert len(item.top) == 10
    assert sum(share for _, share in item.top) == pytest.approx(1, abs=1e-4)


def test_batches_keep_the_order(predictor, pictures, monkeypatch):
    whole = list(predictor.files([pictures]))
    monkeypatch.setattr(prediction, "_BATCH", 3)
    assert [item.path for item in predictor.files([pictures])] == [item.path for item in whole]


def test_bad_files_are_failures_among_predictions(predictor, pictures, tmp_path):
    good = next((pictures / "one").iterdir())
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:60])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    found = list(predictor.files([cut, good, text, tmp_path / "gone.png"]))
    assert [type(item) for item in found] == [Failure, Prediction, Failure, Failure]
    for item in found:
        if isinstance(item, Failure):
            assert str(item.path) in item.reason
            assert "\n" not in item.reason


def test_predict_names_the_shape_it_wants(predictor):
    with pytest.raises(UsageError, match=r"uint8 of shape \(n, 32, 32, 3\)"):
        predictor.predict(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match="Received: float64"):
        predictor.predict(np.zeros((2, 32, 32, 3)))


def test_no_pictures_give_no_rows(predictor):
    assert predictor.predict(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 10)


@pytest.mark.parametrize("top", [0, -1])
def test_topk_must_be_positive(predictor, top):
    with pytest.raises(UsageError, match="topk must be 1 or more"):
        predictor.files([], top=top)


class TestFind:
    """Which files the words on a command line stand for."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "in/c.webp", ".git/d.png"):
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return Path("set")

    def names(self, *given):
        return [item.path if isinstance(item, Failure) else item for item in prediction.find(given)]

    def test_folders_are_sorted_and_hidden_names_left_out(self, folder):
        assert self.names(folder) == [folder / "a.JPG", folder / "b.png", folder / "in" / "c.webp"]

    def test_patterns_are_expanded(self, folder):
        assert self.names("set/*.png") == [folder / "b.png"]
        assert self.names("set/**/*.webp") == [folder / "in" / "c.webp"]

    def test_a_file_counts_once_however_it_is_reached(self, folder):
        given = (folder / "b.png", folder, "set/*.png", folder.resolve() / "b.png")
        assert [path.name for path in self.names(*given)] == ["b.png", "a.JPG", "c.webp"]

    def test_a_file_that_is_named_is_taken_whatever_its_suffix(self, folder):
        assert self.names(folder / "notes.txt") == [folder / "notes.txt"]

    def test_a_file_named_like_a_pattern_is_taken_as_it_is(self, folder):
        odd = folder / "x[1].png"
        odd.write_bytes(b"x")
        assert self.names(odd) == [odd]

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("nothing.png", "does not exist"),
            ("set/*.gif", "matches no file"),
            ("empty", "holds no pictures"),
        ],
    )
    def test_what_leads_nowhere_is_a_failure(self, folder, given, reason):
        os.mkdir("empty")
        (item,) = prediction.find([given])
        assert isinstance(item, Failure)
        assert given in item.reason
        assert reason in item.reason


def test_validation_is_evaluated_and_kept(predictor, run):
    before = run.scores("validation")
    evaluation, looks = predictor.evaluate("validation")
    assert looks is None
    assert evaluation.accuracy == pytest.approx(before["accuracy"])
    assert run.scores("validation")["pictures"] == 144
    assert not run.looks


def test_test_split_is_counted_in_the_ledger(predictor, run):
    evaluation, looks = predictor.evaluate("test", top_k=[2])
    assert looks.startswith("Look 1 of this run at this test set of 359 pictures")
    assert set(evaluation.top_k) == {2}
    assert len(run.looks) == 1
    assert json.loads((run.path / "test.json").read_text())["accuracy"] == evaluation.accuracy
    assert "Look 2" in predictor.evaluate("test")[1]


def test_training_pictures_can_be_scored_too(predictor):
    assert len(predictor.evaluate("train")[0].labels) == 1294


def test_an_unknown_split_is_named(predictor):
    with pytest.raises(UsageError, match="Did you mean 'test'"):
        predictor.evaluate("tests")


def test_without_validation_it_says_what_to_use(tmp_path):
    made = train(quick(val_split=0.0), runs=tmp_path)
    with pytest.raises(UsageError, match="--split test or --split train"):
        Predictor(made).evaluate()


def test_a_damaged_model_is_named(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    (copy / "model.keras").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"model\.keras"):
        Predictor(copy)


def test_no_run_there(tmp_path):
    with pytest.raises(UsageError, match="is not a run folder"):
        Predictor(tmp_path)
