"""Pictures in memory: found by their hash while the program holds them, and not a moment longer."""

import dataclasses
import gc

import numpy as np
import pytest

from tenfold import datasets
from tenfold.datasets import Dataset, memory
from tenfold.errors import DataError


def pictures(size=(32, 32), count=20, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)
    return Dataset(images, np.arange(count) % 2, ("cat", "dog"), tuple(map(str, range(count))))


def test_held_pictures_are_a_source_of_training_pictures():
    held = pictures()
    name = memory.hold(held)
    assert name == memory.hold(pictures()) != memory.hold(pictures(seed=1))
    source = datasets.find(memory.hold(held))
    assert (source.kind, source.splits, source.class_names) == ("memory", ("train",), ("cat", "dog"))
    found = source.read("train")
    assert (found.images == held.images).all()
    assert found.ids == held.ids


def test_they_are_brought_to_one_size():
    held = pictures((24, 12))
    source = datasets.find(memory.hold(held), image_size=16, fit="crop")
    assert source.read("train").images.shape == (20, 16, 16, 3)
    assert "24" in " ".join(datasets.find(memory.hold(held)).notes)


def test_what_is_held_no_more_is_not_found():
    held = pictures()
    name = memory.hold(held)
    del held
    gc.collect()
    with pytest.raises(DataError, match=r"tenfold\.resume\(run, data="):
        datasets.find(name)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"images": np.zeros((20, 32, 32, 3))}, "must be uint8 .* Received: float64"),
        ({"images": np.zeros((20, 3, 32, 32), np.uint8)}, "channels last"),
        ({"labels": np.arange(19) % 2}, "pictures=20, labels=19"),
        ({"labels": np.arange(20) % 2 / 2}, "a whole number"),
        ({"labels": np.arange(20) % 3}, "0 to 1.*Received: labels=0 to 2"),
        ({"ids": ("a",)}, "ids=1"),
    ],
)
def test_pictures_that_are_none_are_answered(wrong, told):
    with pytest.raises(DataError, match=told):
        memory.hold(dataclasses.replace(pictures(), **wrong))
