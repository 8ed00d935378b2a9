"""Intake: every source becomes one array, with the unreadable left out and test labels unsaid."""

import numpy as np

from tenfold.doctor.intake import take


def test_a_folder_is_taken_with_its_faults(save, two_classes, tmp_path):
    folder = save(two_classes)
    (folder / "train/cat/0.png").write_bytes(b"")
    found = take(folder)
    assert found.counts["train"] == {"cat": 6, "dog": 6}
    assert len(found.pictures) == len(found.images) == len(found.labels) == len(found.digests) == 15
    assert [finding.kind for finding in found.findings] == ["unreadable"]
    assert found.images.shape[1:] == (32, 32, 3)
    assert {item.label for item in found.pictures if item.split == "test"} == {None}
    assert {item.label for item in found.pictures if item.split == "train"} == {"cat", "dog"}


def test_a_class_that_training_lacks_is_taken_too(save, two_classes):
    folder = save({**two_classes, "test/emu/0.png": two_classes["train/cat/0.png"]})
    found = take(folder)
    assert found.class_names == ("cat", "dog", "emu")
    assert found.counts["test"]["emu"] == 1


def test_pixels_that_no_file_holds_are_taken_as_they_are(tmp_path, scenes):
    pictures = scenes(40)
    pictures[3] = 9
    path = tmp_path / "set.npz"
    np.savez(path, x_train=pictures, y_train=np.arange(40) % 2, x_test=pictures[:4], y_test=[0, 1, 0, 1])
    found = take(path)
    assert (found.images == np.concatenate([pictures, pictures[:4]])).all()
    assert [finding.pictures[0].id for finding in found.findings] == ["x_train:3", "x_test:3"]
    assert found.digests[0] == found.digests[40]
    assert (found.labelled() == np.arange(40)).all()
    chosen = found.dataset(np.array([2, 5]))
    assert chosen.ids == ("x_train:2", "x_train:5")
    assert chosen.labels.tolist() == [0, 1]
