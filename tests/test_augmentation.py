"""Augmentation: pixels move as said, by the seed alone, and never change their kind."""

import numpy as np
import pytest

from tenfold import augmentation
from tenfold.config import Augmentation


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 16, 12, 3), np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    "settings",
    [
        Augmentation(flip="random"),
        Augmentation(crop=2),
        Augmentation(rotation=15),
        Augmentation(shift=0.1),
        Augmentation(zoom=0.2),
        Augmentation(brightness=0.2),
        Augmentation(cutout=6),
        Augmentation(flip="random", crop=2, rotation=10, shift=0.1, zoom=0.1, brightness=0.1, cutout=4),
    ],
    ids=lambda settings: "-".join(k for k, v in vars(settings).items() if v not in (0, "none")),
)
def test_every_change_keeps_the_form_and_follows_the_seed(images, settings):
    before = images.copy()
    changed = augmentation.augment(images, settings, rng(1))
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert (images == before).all()
    assert (changed != images).any()
    assert (changed == augmentation.augment(images, settings, rng(1))).all()
    assert (changed != augmentation.augment(images, settings, rng(2))).any()


def test_what_is_drawn_needs_no_pixels_and_is_small(images):
    settings = Augmentation(flip="random", crop=2, rotation=10, brightness=0.1, cutout=4)
    drawn = augmentation.draw(settings, images.shape, rng(1))
    assert (augmentation.apply(images, drawn) == augmentation.augment(images, settings, rng(1))).all()
    assert sum(array.nbytes for array in vars(drawn).values()) < 0.1 * images.nbytes


def test_nothing_asked_for_is_nothing_done(images):
    assert augmentation.augment(images, Augmentation(), rng()) is images


def test_alternating_shows_every_picture_both_ways_in_any_two_epochs(images):
    index = rng().permutation(100)[:40]
    for epoch in range(3):
        now = augmentation.alternating(index, epoch, seed=5, total=100)
        following = augmentation.alternating(index, epoch + 1, seed=5, total=100)
        assert (now != following).all()
    assert 0 < now.sum() < 40
    flipped = augmentation.augment(images, Augmentation(flip="alternate"), rng(), now)
    assert (flipped[now] == images[now][:, :, ::-1]).all()
    assert (flipped[~now] == images[~now]).all()


def test_crop_shifts_by_whole_pixels_and_mirrors_the_edge(images):
    cropped = augmentation.augment(images, Augmentation(crop=2), rng())
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    places = set()
    for picture, whole in zip(cropped, padded, strict=True):
        found = [
            (y, x) for y in range(5) for x in range(5) if (whole[y : y + 16, x : x + 12] == picture).all()
        ]
        assert found
        places.add(found[0])
    assert len(places) > 10


def test_warp_by_nothing_is_the_picture_itself(images):
    nothing = np.tile(np.eye(2, 3, dtype=np.float32), (len(images), 1, 1))
    assert (augmentation.apply(images, augmentation.Changes(maps=nothing)) == images).all()


def test_warp_shifts_no_further_than_asked():
    image = np.zeros((200, 20, 20, 3), np.uint8)
    image[:, 10, 10] = 255
    moved = augmentation.augment(image, Augmentation(shift=0.1), rng())
    rows = moved[..., 0].sum(axis=2).argmax(axis=1)
    assert rows.min() >= 8
    assert rows.max() <= 12
    assert len(set(rows)) > 2


def test_rotation_turns_a_square_picture_about_its_middle():
    image = np.zeros((100, 21, 21, 3), np.uint8)
    image[:, 10, :] = 255  # a line through the middle
    turned = augmentation.augment(image, Augmentation(rotation=30), rng())
    assert (turned[:, 10, 10, 0] > 200).all()
    ends = turned[:, :, 18, 0].argmax(axis=1) - 10
    assert np.abs(ends).max() <= 6
    assert ends.min() < 0 < ends.max()


def test_brightness_moves_all_pixels_alike():
    grey = np.full((50, 4, 4, 3), 128, np.uint8)
    settings = Augmentation(brightness=0.25)
    changed = augmentation.augment(grey, settings, rng()).astype(int) - 128
    assert (changed == changed[:, :1, :1, :1]).all()
    assert np.abs(changed).max() <= 64
    white = np.full((50, 4, 4, 3), 250, np.uint8)
    assert augmentation.augment(white, settings, rng()).max() == 255


def test_cutout_hides_one_square():
    white = np.full((50, 16, 16, 3), 255, np.uint8)
    hidden = augmentation.augment(white, Augmentation(cutout=4), rng())[..., 0] == 128
    assert hidden.sum(axis=(1, 2)).max() == 16
    assert (hidden.sum(axis=(1, 2)) > 0).all()


def test_shrinking_averages_what_lies_together():
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, :, 16:] = 200  # dark left, bright right
    small = augmentation.shrink(np.repeat(image, 3, axis=0), 24)
    assert small.shape == (3, 24, 24, 3)
    assert small.dtype == np.uint8
    assert (small[:, :, :11] == 0).all()
    assert (small[:, :, 13:] == 200).all()
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(augmentation.shrink(stripes, 8).astype(int) - 128).max() < 20  # every old pixel takes part
