"""MNIST's four files, as published, unpacked or renamed by others."""

import struct

import numpy as np
import pytest
from idx_files import GREY, LABELS, packed, write

from tenfold.datasets import find, load
from tenfold.errors import DataError


@pytest.mark.parametrize("below", ["", "raw"])
@pytest.mark.parametrize(("ending", "dot"), [(".gz", False), ("", False), ("", True)])
def test_every_form_gives_the_same_pictures(tmp_path, below, ending, dot):
    write(tmp_path / "set" / below, ending=ending, dot=dot)
    source = find(tmp_path / "set")
    assert (source.kind, source.splits) == ("idx", ("train", "test"))
    assert source.class_names == tuple("0123456789")
    train, test = source.read("train"), source.read("test")
    assert np.array_equal(train.images, np.repeat(GREY[:10, ..., np.newaxis], 3, axis=-1))
    assert train.labels.tolist() == LABELS[:10].tolist()
    assert (test.ids, test.labels.tolist()) == (("test:0", "test:1", "test:2", "test:3"), [0, 1, 2, 3])
    assert test.notes == ("No test pictures of 4, 5, 6, 7, 8, 9: scores cannot show them.",)


def test_pictures_come_to_the_size_asked_for(tmp_path):
    assert load(write(tmp_path), image_size=8).images.shape == (10, 8, 8, 3)


def test_without_test_files_there_is_no_test_split(tmp_path):
    source = find(write(tmp_path, t10k_images_idx3_ubyte=None))
    assert source.splits == ("train",)
    assert source.notes[0].startswith("No test split: t10k-images-idx3-ubyte.gz")


def test_training_does_not_look_into_the_test_files(tmp_path):
    write(tmp_path, t10k_images_idx3_ubyte=b"damaged")
    assert len(load(tmp_path)) == 10
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is no idx file"):
        load(tmp_path, "test")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (packed(GREY[:10])[:-5], r"is damaged\. Expected 10 x 28 x 28 bytes"),
        (packed(LABELS), "no idx file of bytes with 3 dimensions"),
        (struct.pack(">HBB3I", 0, 13, 3, 1, 1, 1) + bytes(4), "no idx file of bytes"),
        (b"", "no idx file of bytes"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, words):
    write(tmp_path, train_images_idx3_ubyte=content)
    with pytest.raises(DataError, match=words) as caught:
        load(tmp_path)
    assert "train-images-idx3-ubyte.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_download_that_broke_off_is_named(tmp_path):
    file = write(tmp_path) / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is damaged or incomplete"):
        load(tmp_path)
    file.write_bytes(b"\x1f\x8b\x08\0" + bytes(100))
    with pytest.raises(DataError, match="is damaged or incomplete"):
        load(tmp_path)


def test_pictures_and_labels_must_be_as_many(tmp_path):
    write(tmp_path, train_labels_idx1_ubyte=packed(LABELS[:9]))
    with pytest.raises(DataError, match="9 labels, 10 pictures"):
        load(tmp_path)


def test_one_file_of_the_four_points_to_their_folder(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="is one of MNIST's four files"):
        find(tmp_path / "t10k-labels-idx1-ubyte.gz")
