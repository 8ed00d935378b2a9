"""Splits: stratified, seeded, hashed; the test pictures behind one door that keeps a ledger."""

import dataclasses

import numpy as np
import pytest

from tenfold import config, machine, runs, splits
from tenfold.config import Config
from tenfold.datasets.rows import Rows
from tenfold.errors import DataError

DIGITS = Config(data="digits", val_split=0.2)


def run_of(settings, folder, name="run"):
    """A run folder with what `open_split` and `open_test` read, and no model."""
    parts = splits.read(settings)
    run = runs.create(folder, name)
    run.write("config.yaml", config.to_yaml(settings))
    run.write("data.json", {"class_names": list(parts.train.class_names), "image_size": 32})
    run.write("splits.json", splits.record(parts, settings))
    return run


def test_the_same_share_of_every_class_is_held_out():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    kept, held = splits.hold_out(labels, 0.1, seed=0)
    assert np.bincount(labels[held]).tolist() == [10, 5, 1]
    assert sorted([*kept, *held]) == list(range(160))
    assert (splits.hold_out(labels, 0.1, seed=0)[1] == held).all()
    assert (splits.hold_out(labels, 0.1, seed=1)[1] != held).any()


def test_too_few_pictures_for_a_split_is_said():
    with pytest.raises(DataError, match="smallest class has 1 of 41 pictures"):
        splits.hold_out(np.repeat([0, 1], [40, 1]), 0.1, seed=0)


def test_parts_of_digits_do_not_meet():
    parts = splits.read(DIGITS)
    assert parts.counts == {"train": 1150, "validation": 288}
    assert not set(parts.train.ids) & set(parts.validation.ids)


def test_all_pictures_are_trained_on_when_asked():
    parts = splits.read(dataclasses.replace(DIGITS, val_split=0))
    assert parts.validation is None
    assert parts.counts == {"train": 1438}


def test_a_validation_folder_of_the_users_own_is_taken(picture_folder):
    folder = picture_folder(
        {"train/a": 8, "train/b": 8, "valid/a": 2, "valid/b": 3, "test/a": 1, "test/b": 1}
    )
    parts = splits.read(Config(data=str(folder)))
    assert parts.counts == {"train": 16, "validation": 5}
    assert "own" in parts.origin


def test_the_fingerprint_tells_any_difference():
    data = splits.read(DIGITS).validation
    other = dataclasses.replace(data, images=data.images.copy())
    assert splits.fingerprint(other) == splits.fingerprint(data)
    other.images[5, 3, 3, 0] ^= 1
    changed = [
        other,
        dataclasses.replace(data, labels=np.roll(data.labels, 1)),
        dataclasses.replace(data, ids=(*data.ids[:-1], "x")),
        dataclasses.replace(data, class_names=(*data.class_names[:-1], "x")),
    ]
    assert len({splits.fingerprint(d) for d in [data, *changed]}) == 5


def test_a_run_opens_the_very_pictures_it_was_trained_with(tmp_path):
    run = run_of(DIGITS, tmp_path)
    parts = splits.read(DIGITS)
    for split, part in (("train", parts.train), ("validation", parts.validation)):
        assert (splits.open_split(run, split).images == part.images).all()
    assert run.splits["splits"]["validation"]["ids"] == list(parts.validation.ids)


def test_changed_pictures_are_noticed(tmp_path, picture_folder):
    folder = picture_folder({"train/a": 20, "train/b": 20, "test/a": 2, "test/b": 2})
    run = run_of(Config(data=str(folder), image_size=32), tmp_path / "runs")
    (folder / "train/a/1.png").write_bytes((folder / "train/b/2.png").read_bytes())
    with pytest.raises(DataError, match="not those"):
        splits.open_split(run, "train")


def test_a_split_the_run_has_not_is_said(tmp_path):
    run = run_of(dataclasses.replace(DIGITS, val_split=0), tmp_path)
    with pytest.raises(DataError, match="--split test"):
        splits.open_split(run, "validation")


def test_every_look_at_the_test_pictures_is_counted(tmp_path):
    first, second = run_of(DIGITS, tmp_path, "a"), run_of(DIGITS, tmp_path, "b")
    data, said = splits.open_test(first)
    assert len(data) == 359
    assert said.startswith("Look 1 of this run at this test set of 359 pictures; 1 in all")
    splits.open_test(first)
    _, said = splits.open_test(second)
    assert said.startswith("Look 1 of this run")
    assert "3 in all" in said
    assert [look["split"] for look in first.looks] == ["test", "test"]
    assert all(look["sha256"] == splits.fingerprint(data) for look in first.looks)


def test_other_classes_than_the_run_s_are_refused(tmp_path):
    run = run_of(DIGITS, tmp_path)
    run.write("data.json", {"class_names": ["cat", "dog"], "image_size": 32})
    with pytest.raises(DataError, match="cat, dog"):
        splits.open_test(run)


def test_data_given_by_a_relative_path_are_found_from_elsewhere(tmp_path, picture_folder, monkeypatch):
    folder = picture_folder({"train/a": 20, "train/b": 20, "test/a": 2, "test/b": 2})
    monkeypatch.chdir(folder.parent)
    run = run_of(Config(data=folder.name, image_size=32), tmp_path / "runs")
    run.write("data.json", {**run.data, "path": str(folder)})
    monkeypatch.chdir(tmp_path / "runs")
    assert len(splits.open_split(run, "train")) == 36
    assert len(splits.open_test(run)[0]) == 4


def test_the_fix_list_s_pictures_are_left_out_and_the_run_remembers_them(tmp_path):
    digits = splits.read(DIGITS)
    gone = (*digits.train.ids[:3], digits.validation.ids[0])
    listed = tmp_path / "fixes.csv"
    listed.write_text("id,split,action\n" + "".join(f"{name},train,exclude\n" for name in gone))
    settings = dataclasses.replace(DIGITS, exclude=str(listed))
    parts = splits.read(settings)
    assert sum(parts.counts.values()) == sum(digits.counts.values()) - 4
    assert not {*parts.train.ids, *parts.validation.ids} & {*gone}
    assert "Left out as the fix list says: 4 train pictures." in parts.notes
    run = run_of(settings, tmp_path / "runs")
    assert run.splits["excluded"] == {"train": sorted(gone)}
    listed.unlink()
    assert splits.open_split(run, "train").ids == parts.train.ids
    assert splits.read_again(run).validation.ids == parts.validation.ids


def test_a_fix_list_of_other_data_is_noticed(tmp_path):
    listed = tmp_path / "fixes.csv"
    listed.write_text("id,split,action\ncat/1.png,train,exclude\n")
    with pytest.raises(DataError, match="names no picture of digits"):
        splits.read(dataclasses.replace(DIGITS, exclude=str(listed)))


@pytest.fixture
def little_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "free_memory", lambda: 0)


def test_pictures_on_the_disk_are_split_and_hashed_as_those_in_memory(picture_folder, request):
    settings = Config(data=str(picture_folder({"a": 30, "b": 30})), image_size=8, val_split=0.2, fraction=0.5)
    before = splits.record(splits.read(settings), settings)
    request.getfixturevalue("little_memory")
    parts = splits.read(settings)
    assert isinstance(parts.train.images, Rows)
    assert isinstance(parts.validation.images, Rows)
    assert splits.record(parts, settings) == before
    assert any("stay on the disk" in note for note in parts.notes)


def test_weights_of_classes_are_noted(picture_folder):
    settings = Config(data=str(picture_folder({"a": 20, "b": 60})), image_size=8, balance=True)
    assert "Training pictures weigh by class, validation pictures do not: a 2, b 0.667." in (
        splits.read(settings).notes
    )
