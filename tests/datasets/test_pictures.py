import itertools

import numpy as np
import pytest

from tenfold.config import Config
from tenfold.datasets import pictures
from tenfold.errors import DataError, UsageError
from tenfold.images import encode_png

ONE = encode_png(np.full((8, 8, 3), 7, np.uint8))


def test_the_range_of_sizes_is_that_of_the_settings():
    for size in (pictures.SMALLEST, pictures.LARGEST):
        Config(image_size=size)
    for size in (pictures.SMALLEST - 1, pictures.LARGEST + 1):
        with pytest.raises(UsageError):
            Config(image_size=size)


def test_sizes_are_read_only_as_far_as_needed():
    endless = itertools.chain([(8, 8)], itertools.repeat((9, 9)))
    assert pictures.choose_shape(endless, None, "pad").size == pictures.USUAL
    assert pictures.choose_shape(iter(lambda: pytest.fail("was read"), None), 64, "pad").size == 64


def test_gather_keeps_order_and_names_what_is_missing():
    count = 3000  # more than one round of work
    sources = (
        encode_png(np.full((8, 8, 3), row % 256, np.uint8)) if row != 700 else b"" for row in range(count)
    )
    ids = [f"row{row}" for row in range(count)]
    data = pictures.gather(sources, np.arange(count) % 2, ids, ("a", "b"), "train", pictures.Shape(8, "pad"))
    expected = [row for row in range(count) if row != 700]
    assert data.images[:, 0, 0, 0].tolist() == [row % 256 for row in expected]
    assert data.ids == tuple(f"row{row}" for row in expected)
    assert data.notes == (
        "Skipped 1 picture that cannot be read in train. " + data.notes[0].split(". ", 1)[1],
    )
    assert "row700 is empty" in data.notes[0]


def test_nothing_readable_is_an_error():
    with pytest.raises(DataError, match=r"None of the 2 test pictures can be read\. First: a is empty"):
        pictures.gather(
            [b"", b""], np.array([0, 1]), ["a", "b"], ("x", "y"), "test", pictures.Shape(8, "pad")
        )


def test_resize_all_leaves_the_right_size_alone():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert pictures.resize_all(images, pictures.Shape(8, "pad")) is images
    assert pictures.resize_all(images, pictures.Shape(16, "pad")).shape == (2, 16, 16, 3)
