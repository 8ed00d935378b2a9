"""Labelled files as a source: held out where need be, decoded and kept, or handed over undecoded."""

import numpy as np
import pytest

from tenfold import cache
from tenfold.datasets import store
from tenfold.datasets.labelled import Files, source


@pytest.fixture
def given(picture_folder):
    """A folder with twelve pictures, and the files in it."""
    folder = picture_folder({"": 12})
    return folder, Files(tuple(f"{number}.png" for number in range(12)), np.arange(12) % 2)


def test_some_of_them(given):
    some = given[1].rows(np.array([3, 2]))
    assert (some.paths, some.labels.tolist()) == (("3.png", "2.png"), [1, 0])


def test_splits_are_taken_as_they_are_or_held_out(given):
    folder, files = given
    halves = {"train": files.rows(np.arange(6)), "test": files.rows(np.arange(6, 12))}
    found = source("list", folder, folder, halves, ("a", "b"), ("Said before.",))
    assert (found.splits, found.held_out, found.notes) == (("train", "test"), False, ("Said before.",))
    assert found.read("test").ids == files.paths[6:]
    found = source("list", folder, folder, {"train": files}, ("a", "b"))
    assert (found.splits, found.held_out) == (("train", "test"), True)
    assert sorted(found.read("train").ids + found.read("test").ids) == sorted(files.paths)
    assert [path for _, _, path in found.encoded("test")] == [folder / n for n in found.read("test").ids]


def test_training_pictures_are_kept_and_test_pictures_are_not(given, tmp_path, monkeypatch):
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "WORTH", 1)
    folder, files = given
    found = source("list", folder, folder, {"train": files}, ("a", "b"))
    found.read("test")
    assert not cache.home().exists()
    first = found.read("train")
    assert len(list(cache.home().rglob("whole.json"))) == 1
    monkeypatch.setattr("tenfold.datasets.pictures.read", lambda *_: pytest.fail("was decoded again"))
    again = source("list", folder, folder, {"train": files}, ("a", "b")).read("train")
    assert np.array_equal(first.images, again.images)
    assert (first.ids, first.labels.tolist()) == (again.ids, again.labels.tolist())


def test_an_unreadable_picture_is_named_again_from_the_cache(given, tmp_path, monkeypatch):
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "WORTH", 1)
    folder, files = given
    (folder / "3.png").write_bytes(b"")
    parts = {"train": files, "test": files}
    for _ in range(2):
        train = source("list", folder, folder, parts, ("a", "b")).read("train")
        assert "3.png is empty" in train.notes[0]
        assert len(train) == 11
    (folder / "3.png").write_bytes((folder / "4.png").read_bytes())
    assert len(source("list", folder, folder, parts, ("a", "b")).read("train")) == 12
