"""Thinning: the same share of every class, smaller shares within larger ones."""

import dataclasses
import itertools

import numpy as np
import pytest

from tenfold import splits
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.datasets.thinning import thinned


@pytest.fixture
def dataset():
    labels = np.repeat([0, 1, 2], [30, 60, 3])
    images = np.arange(93, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return Dataset(images, labels, ("a", "b", "c"), tuple(map(str, range(93))))


def test_each_class_gives_its_share_and_small_ones_lie_within_large_ones(dataset):
    parts = [thinned(dataset, fraction, seed=3) for fraction in (0.1, 0.25, 0.5, 1.0)]
    assert [np.bincount(part.labels).tolist() for part in parts] == [
        [3, 6, 1],
        [8, 15, 1],
        [15, 30, 2],
        [30, 60, 3],
    ]
    for small, large in itertools.pairwise(parts):
        assert set(small.ids) < set(large.ids)
    assert all((part.images[:, 0, 0, 0] == np.array(part.ids, int)).all() for part in parts)
    assert parts[3] is dataset
    assert any("10 of 93" in note for note in parts[0].notes)


def test_the_seed_alone_decides_which(dataset):
    first, again, other = (thinned(dataset, 0.3, seed).ids for seed in (1, 1, 2))
    assert first == again != other


def test_validation_stays_the_same_whatever_is_learned_from():
    whole = splits.read(Config(data="digits"))
    tenth = splits.read(Config(data="digits", fraction=0.1))
    assert tenth.validation.ids == whole.validation.ids
    assert set(tenth.train.ids) < set(whole.train.ids)
    assert 0.1 * len(whole.train) <= len(tenth.train) <= 0.1 * len(whole.train) + 10
    unheld = splits.read(dataclasses.replace(Config(data="digits", fraction=0.5), val_split=0))
    assert unheld.validation is None
    assert len(unheld.train) < 0.6 * (len(whole.train) + len(whole.validation))
