"""Batches: every picture once an epoch, in an order and with changes that the seed alone decides."""

import dataclasses

import keras
import numpy as np
import pytest

from tenfold import machine, models
from tenfold.batches import Batches, Epochs, held_data, one_hot_labels, small_side, worth_residing
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset, load
from tenfold.datasets.rows import Rows


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


def test_progress_is_the_share_of_all_steps_or_what_the_clock_tells(dataset):
    batches = Batches(dataset, Config(batch_size=16, epochs=2), one_hot=False)
    shares = []
    for batches.epoch in range(2):
        shares += [batches.progress(step) for step in range(len(batches))]
    assert shares == [number / 8 for number in range(8)]
    assert Batches(dataset, Config(), one_hot=False, clock=lambda: 0.3).progress(0) == 0.3


def test_labels_come_one_hot_where_asked(dataset):
    _, labels = Batches(dataset, Config(), one_hot=True)[0]
    assert labels.shape == (32, 3)
    assert one_hot_labels(dataset)[4].tolist() == [0, 1, 0]


def test_pictures_are_small_for_the_first_share_of_the_run():
    images = np.zeros((40, 32, 32, 3), np.uint8)
    data = Dataset(images, np.arange(40) % 2, ("a", "b"), tuple(map(str, range(40))))
    batches = Batches(data, Config(batch_size=10, epochs=2, small_pictures=0.6), one_hot=False)
    sides = [images.shape[1:3] for number in range(2) for images, _ in epoch(batches, number)]
    assert sides == [(24, 24)] * 5 + [(32, 32)] * 3  # steps 0 to 4 of 8 begin before 0.6
    timed = Batches(
        data, Config(batch_size=10, small_pictures=0.6), one_hot=False, clock=iter((0.59, 0.6)).__next__
    )
    assert [timed[0][0].shape[1], timed[1][0].shape[1]] == [24, 32]


def test_one_of_so_many_candidates_is_learnt_and_each_picture_looked_at_as_often(dataset):
    looked, shares = [], []

    def brightest(images, targets, progress):
        looked.extend(images[:, 0, 0, 0])
        shares.append(progress)
        count = -(-len(images) // 3)
        return np.sort(np.argsort(images[:, 0, 0, 0], kind="stable")[-count:])

    settings = Config(batch_size=16, epochs=2, candidates=3, augmentation=Augmentation(flip="alternate"))
    batches = Batches(dataset, settings, one_hot=False, choose=brightest)
    found = epoch(batches, 1)
    assert [len(images) for images, _ in found] == [16, 16, 16, 2]
    assert sorted(looked) == sorted([*range(50)] * 3)
    assert shares == [4 / 8, 5 / 8, 6 / 8, 7 / 8]
    first = found[0][0][:, 0, 0, 0]
    assert sorted(first) == sorted(looked[:48])[-16:]
    assert (found[0][1] == first % 3).all()
    alone = Batches(dataset, settings, one_hot=False)  # nobody chooses: all of one batch are learnt
    assert sorted(np.concatenate([images[:, 0, 0, 0] for images, _ in epoch(alone, 1)])) == [*range(50)]


def test_pictures_are_mild_and_none_is_picked_for_the_last_share_of_the_run(dataset):
    change = Augmentation(flip="alternate", crop=1, brightness=0.5, cutout=8)
    settings = Config(batch_size=10, epochs=4, candidates=2, mild_pictures=0.5, augmentation=change)
    chosen = []

    def last(images, targets, progress):
        chosen.append(progress)
        return np.arange(len(images) // 2, len(images))

    batches = Batches(dataset, settings, one_hot=False, choose=last)
    for number in range(4):
        found = epoch(batches, number)
        assert [len(images) for images, _ in found] == [10] * 5
        if number >= 2:  # each picture once, in its own grey
            assert sorted(images[0, 0, 0] for part, _ in found for images in part) == [*range(50)]
    assert chosen == [step / 20 for step in range(10)]


def test_mild_pictures_are_still_mirrored_every_other_time():
    images = np.zeros((8, 8, 8, 3), np.uint8)
    images[:, :, :4] = 200
    data = Dataset(images, np.arange(8) % 2, ("a", "b"), tuple(map(str, range(8))))
    change = Augmentation(flip="alternate", cutout=4)
    settings = Config(batch_size=8, epochs=4, candidates=2, mild_pictures=1.0, augmentation=change)
    batches = Batches(data, settings, one_hot=False, choose=lambda *given: np.arange(8))
    sides = [int((epoch(batches, number)[0][0][:, 0, 0, 0] == 200).sum()) for number in range(4)]
    assert sides[0] + sides[1] == sides[1] + sides[2] == sides[2] + sides[3] == 8


@pytest.mark.parametrize(("side", "small"), [(8, 8), (16, 16), (20, 16), (32, 24), (64, 48)])
def test_small_pictures_keep_sixteen_pixels(side, small):
    assert small_side(side) == small


def weights(dataset, resident):
    """Of a model after two epochs, and how its batches were made."""
    change = Augmentation(flip="random", crop=1, brightness=0.1, cutout=2)
    settings = Config(batch_size=100, augmentation=change)
    batches = Batches(dataset, settings, one_hot=True, resident=resident)
    keras.utils.set_random_seed(0)
    model = models.build("tiny", dataset.images.shape[1:], 10)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(batches, epochs=2, shuffle=False, callbacks=[Epochs(batches)], verbose=0)
    assert history.history["accuracy"][-1] > 0.3
    return model.get_weights(), type(batches[0][0])


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="takes its batches from the processor")
def test_a_model_learns_the_same_from_pictures_on_the_device():
    digits = load("digits", "train", image_size=16)
    host, made = weights(digits, resident=False)
    device, made_there = weights(digits, resident=True)
    assert made is np.ndarray
    assert made_there is not np.ndarray
    assert all((a == b).all() for a, b in zip(host, device, strict=True))


def test_pictures_live_on_an_accelerator_that_has_room_for_them(dataset, monkeypatch):
    size = dataset.images.nbytes
    for memory, there in ((4 * size, True), (4 * size - 1, False)):
        found = machine.Accelerator("cuda", "a card", memory, True)
        monkeypatch.setattr(machine, "accelerator", lambda found=found: found)
        assert worth_residing(dataset, Config()) == there
    monkeypatch.setattr(machine, "accelerator", lambda: None)
    assert not worth_residing(dataset, Config())


def test_pictures_on_the_disk_make_the_same_batches(dataset, tmp_path):
    dataset.images.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=dataset.images.shape)
    there = dataclasses.replace(dataset, images=Rows([mapped]))
    settings = Config(batch_size=16, augmentation=Augmentation(crop=2, flip="random", brightness=0.2))
    pairs = zip(*(epoch(Batches(data, settings, one_hot=False), 4) for data in (dataset, there)), strict=True)
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in pairs)


@pytest.mark.parametrize("one_hot", [False, True])
def test_validation_pictures_on_the_disk_score_as_those_in_memory(dataset, tmp_path, one_hot):
    dataset.images.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=dataset.images.shape)
    there = dataclasses.replace(dataset, images=Rows([mapped]))
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=["accuracy"])
    scores = []
    for data in (dataset, there):
        given = held_data(data, 16, one_hot=one_hot)
        words = {"x": given} if data is there else {"x": given[0], "y": given[1], "batch_size": 16}
        scores.append(model.evaluate(**words, verbose=0))
    assert scores[0] == scores[1]
    assert held_data(None, 16, one_hot=one_hot) is None


def test_pictures_on_the_disk_do_not_move_to_an_accelerator(dataset, monkeypatch):
    monkeypatch.setattr(machine, "accelerator", lambda: machine.Accelerator("cuda", "a card", 2**40, True))
    assert worth_residing(dataset, Config())
    assert not worth_residing(dataclasses.replace(dataset, images=Rows([dataset.images])), Config())
