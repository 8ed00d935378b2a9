import os
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import find, load
from tenfold.errors import DataError, UsageError
from tenfold.images import encode_png

SPLIT = {"train/cat": 3, "train/dog": 2, "Valid/cat": 1, "Valid/dog": 1, "test/dog": 1, "test/cat": 2}


def test_split_folders_are_read_with_classes_matched_by_name(picture_folder):
    folder = picture_folder(SPLIT)
    source = find(folder)
    assert source.kind == "folder"
    assert source.splits == ("train", "validation", "test")
    assert source.class_names == ("cat", "dog")
    test = source.read("test")
    assert test.ids == ("test/cat/0.png", "test/cat/1.png", "test/dog/0.png")
    assert test.labels.tolist() == [0, 0, 1]
    assert test.images.shape == (3, 8, 8, 3)
    assert test.notes == ()


def test_a_class_missing_in_validation_leaves_the_numbers_of_the_others_right(picture_folder):
    folder = picture_folder({"train/ant": 2, "train/bee": 2, "val/bee": 2, "test/ant": 1, "test/bee": 1})
    validation = load(folder, "validation")
    assert validation.labels.tolist() == [1, 1]
    assert validation.notes == ("No validation pictures of ant: scores cannot show them.",)


def test_a_flat_folder_holds_out_the_same_tenth_every_time(picture_folder):
    folder = picture_folder({"cat": 30, "dog": 10})
    train, test = load(folder, "train"), load(folder, "test")
    assert find(folder).splits == ("train", "test")
    assert (len(train), len(test)) == (36, 4)
    assert np.bincount(test.labels).tolist() == [3, 1]
    assert not set(train.ids) & set(test.ids)
    assert load(folder, "test").ids == test.ids
    assert "4 of 40 pictures are held out" in test.notes[0]


def test_training_never_opens_held_out_files(picture_folder):
    folder = picture_folder({"cat": 10, "dog": 10})
    held_out = load(folder, "test").ids
    for name in held_out:
        (folder / name).write_bytes(b"")
    assert not any("cannot be read" in note for note in load(folder).notes)
    with pytest.raises(DataError, match="None of the 2 test pictures"):
        load(folder, "test")


def test_hidden_and_other_files_do_not_count(picture_folder):
    folder = picture_folder({"cat": 10, "dog": 10, ".ipynb_checkpoints": 2, "dog/.cache": 1, "dog/small": 2})
    (folder / ".DS_Store").touch()
    (folder / "cat" / ".DS_Store").touch()
    (folder / "cat" / "phone.HEIC").touch()
    (folder / "labels.csv").touch()
    source = find(folder)
    assert source.class_names == ("cat", "dog")
    assert len(source.read("train")) + len(source.read("test")) == 22
    note = next(note for note in source.notes if note.startswith("Ignored"))
    assert note == (
        "Ignored 2 files that are no pictures of a class: 1 .heic, 1 beside the class folders. "
        "Save HEIC pictures as JPEG first."
    )


def test_unreadable_pictures_are_skipped_and_named(picture_folder):
    folder = picture_folder({**SPLIT, "train/cat": 8})
    whole = encode_png(np.zeros((8, 8, 3), np.uint8))
    for number, content in enumerate([whole[:40], b"hello", b"", b"no", b"nor this", b"\0" * 9]):
        (folder / "train" / "dog" / f"bad{number}.jpg").write_bytes(content)
    train = load(folder)
    assert len(train) == len(train.labels) == len(train.ids) == 10
    assert train.images.shape == (10, 8, 8, 3)
    assert train.ids[-1] == "train/dog/1.png"
    (note,) = train.notes
    assert note.startswith("Skipped 6 pictures that cannot be read in train. train/dog/bad0.jpg is damaged")
    assert "train/dog/bad2.jpg is empty" in note
    assert note.endswith("And 1 more.")


def test_pictures_of_one_size_keep_it_in_every_split(picture_folder):
    folder = picture_folder(SPLIT, size=(48, 48))
    picture_folder({"test/dog": 3}, size=(9, 7))
    assert load(folder).images.shape == (5, 48, 48, 3)
    assert load(folder, "test").images.shape == (5, 48, 48, 3)


@pytest.mark.parametrize(
    ("size", "words"), [((20, 10), "Pictures have 20 x 10 pixels"), ((300, 300), "Pictures have 300 x 300")]
)
def test_other_sizes_come_to_32_with_a_word_on_how_to_change_it(picture_folder, size, words):
    data = load(picture_folder(SPLIT, size=size))
    assert data.images.shape[1:] == (32, 32, 3)
    assert data.notes[0].startswith(words)
    assert "--image-size" in data.notes[0]


def test_mixed_sizes_come_to_the_size_asked_for(picture_folder):
    folder = picture_folder(SPLIT)
    picture_folder({"train/dog": 1}, size=(30, 20))
    assert "differ in size" in load(folder).notes[0]
    data = load(folder, image_size=16, fit="crop")
    assert data.images.shape[1:] == (16, 16, 3)
    assert data.notes == ()
    with pytest.raises(UsageError, match="image_size"):
        load(folder, image_size=4)


def test_test_pictures_without_classes_are_ignored_with_a_note(picture_folder):
    folder = picture_folder({"train/cat": 10, "train/dog": 10, "test": 4})
    source = find(folder)
    assert "Ignored the test folder" in source.notes[0]
    assert len(source.read("test")) == 2


def test_a_class_folder_without_pictures_is_no_class(picture_folder):
    source = find(picture_folder({"cat": 5, "dog": 5, "emu": 0}))
    assert source.class_names == ("cat", "dog")
    assert source.notes[0] == "Ignored class folders without pictures: emu."


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        pytest.param({"": 0}, "no class folders with pictures", id="empty"),
        pytest.param({"": 5}, "no class folders with pictures", id="pictures-without-classes"),
        pytest.param({"cat": 5}, "one class only: cat", id="one-class"),
        pytest.param({"cat": 5, "dog": 0}, "one class only: cat", id="one-class-with-pictures"),
        pytest.param({"cat": 5, "dog": 1}, r"at least 2 pictures.*dog \(1\)", id="lone-picture"),
        pytest.param({"val/cat": 2, "val/dog": 2}, "none named train", id="no-train"),
        pytest.param({**SPLIT, "val/cat": 1}, "two folders for validation: Valid and val", id="val-twice"),
        pytest.param({**SPLIT, "test/emu": 1}, "test has classes that train lacks: emu", id="strange-class"),
        pytest.param({**SPLIT, "Valid/emu": 1}, "validation has classes that train", id="strange-in-val"),
    ],
)
def test_unusable_folders_say_what_is_wrong(picture_folder, counts, words):
    with pytest.raises(DataError, match=words) as caught:
        find(picture_folder(counts))
    assert "\n" not in str(caught.value)


def test_a_split_that_is_not_there_lists_those_that_are(picture_folder):
    folder = picture_folder({"cat": 5, "dog": 5})
    with pytest.raises(UsageError, match="Choices: test, train"):
        load(folder, "validation")


def test_class_folders_may_be_links(picture_folder, tmp_path: Path):
    folder = picture_folder({"cat": 5})
    elsewhere = picture_folder({"dog": 5}, name="elsewhere")
    (folder / "dog").symlink_to(elsewhere / "dog")
    assert find(folder).class_names == ("cat", "dog")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_without_permission_is_named(picture_folder):
    folder = picture_folder({"cat": 2, "dog": 2})
    (folder / "dog").chmod(0)
    with pytest.raises(DataError, match="dog cannot be listed"):
        find(folder)
    (folder / "dog").chmod(0o700)


def test_strange_classes_come_last_where_it_is_not_strict(picture_folder):
    source = find(picture_folder({**SPLIT, "test/ant": 1, "Valid/bee": 1}), strict=False)
    assert source.class_names == ("cat", "dog", "ant", "bee")
    assert source.read("test").labels.tolist() == [0, 0, 1, 2]


def test_pictures_can_be_had_undecoded(picture_folder):
    folder = picture_folder(SPLIT)
    source = find(folder)
    data = source.read("train")
    encoded = list(source.encoded("train"))
    assert [(name, label) for name, label, _ in encoded] == list(zip(data.ids, data.labels, strict=True))
    assert all(path == folder / name for name, _, path in encoded)
