"""A census: pictures by split and class and their sizes, without decoding a file."""

import numpy as np
import pytest

from tenfold import datasets
from tenfold.datasets import census
from tenfold.errors import DataError
from tenfold.images import encode_png


def test_folders_are_counted_by_split_and_class(picture_folder):
    folder = picture_folder({"train/cat": 4, "train/dog": 2, "test/cat": 1, "test/dog": 3}, size=(9, 8))
    large = np.zeros((20, 30, 3), np.uint8)
    (folder / "train" / "dog" / "large.png").write_bytes(encode_png(large))
    found = census.count(datasets.find(folder))
    assert found.class_names == ("cat", "dog")
    assert found.counts == {"train": (4, 3), "test": (1, 3)}
    assert found.sizes == ((9, 8), (30, 20))
    assert (found.kind, found.location) == ("folder", str(folder))


def test_pictures_that_cannot_be_read_are_counted_and_told(picture_folder):
    folder = picture_folder({"train/cat": 3, "train/dog": 3, "test/cat": 1, "test/dog": 1})
    (folder / "train" / "cat" / "0.png").write_bytes(b"no picture")
    found = census.count(datasets.find(folder))
    assert found.counts["train"] == (3, 3)
    assert "1 of the train pictures" in " ".join(found.notes)
    assert "tenfold doctor" in " ".join(found.notes)


def test_data_that_are_no_files_are_counted_too():
    found = census.count(datasets.find("digits"))
    assert {split: sum(counts) for split, counts in found.counts.items()} == {"train": 1438, "test": 359}
    assert found.sizes == ((32, 32), (32, 32))
    assert len(found.class_names) == len(found.counts["test"]) == 10


def test_no_data_is_an_error(tmp_path):
    with pytest.raises(DataError):
        census.count(datasets.find(tmp_path))
