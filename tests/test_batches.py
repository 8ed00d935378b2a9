"""Batches: every picture once an epoch, in an order and with changes that the seed alone decides."""

import numpy as np
import pytest

from tenfold.batches import Batches, one_hot_labels
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset


@pytest.fixture
def dataset():
    images = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return Dataset(images, np.arange(50) % 3, ("a", "b", "c"), tuple(map(str, range(50))))


def epoch(batches, number):
    batches.epoch = number
    return [batches[step] for step in range(len(batches))]


def test_every_picture_comes_once_with_its_label(dataset):
    batches = Batches(dataset, Config(batch_size=16), one_hot=False)
    found = epoch(batches, 0)
    assert [len(images) for images, _ in found] == [16, 16, 16, 2]
    numbers = np.concatenate([images[:, 0, 0, 0] for images, _ in found])
    labels = np.concatenate([labels for _, labels in found])
    assert sorted(numbers) == list(range(50))
    assert (labels == numbers % 3).all()


def test_epochs_differ_and_repeat_by_seed(dataset):
    settings = Config(batch_size=16, augmentation=Augmentation(crop=2, flip="random", brightness=0.2))
    first, again = (epoch(Batches(dataset, settings, one_hot=False), 4) for _ in range(2))
    for (images, labels), (same, same_labels) in zip(first, again, strict=True):
        assert (images == same).all()
        assert (labels == same_labels).all()
    batches = Batches(dataset, settings, one_hot=False)
    assert (epoch(batches, 5)[0][0] != first[0][0]).any()


def test_any_batch_can_be_made_alone(dataset):
    settings = Config(batch_size=16, augmentation=Augmentation(crop=2))
    whole = epoch(Batches(dataset, settings, one_hot=False), 3)
    alone = Batches(dataset, settings, one_hot=False)
    alone.epoch = 3
    assert (alone[2][0] == whole[2][0]).all()


def test_labels_come_one_hot_where_asked(dataset):
    _, labels = Batches(dataset, Config(), one_hot=True)[0]
    assert labels.shape == (32, 3)
    assert one_hot_labels(dataset)[4].tolist() == [0, 1, 0]
