"""Augmentation: pixels move as said, by the seed alone, and never change their kind."""

import dataclasses

import keras
import numpy as np
import pytest

from tenfold import augmentation, recipes, training
from tenfold.batches import Batches
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset
from tenfold.errors import Stopped

OLDER = Augmentation(flip="random", crop=2, rotation=10, shift=0.1, zoom=0.1, brightness=0.1, cutout=4)
NEWER = {
    "flip": "both",
    "shear": 20,
    "contrast": 0.4,
    "saturation": 0.6,
    "randaugment": 2,
    "magnitude": 15,
    "augmix": 3,
    "erasing": 0.5,
    "mixup": 0.2,
    "cutmix": 1,
}


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
        OLDER,
        Augmentation(flip="vertical"),
        *(Augmentation(**{name: value}) for name, value in NEWER.items() if name != "magnitude"),
        dataclasses.replace(OLDER, **NEWER),
    ],
    ids=lambda settings: "-".join(k for k, v in vars(settings).items() if v != getattr(Augmentation(), k)),
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
    for change in (settings, dataclasses.replace(settings, **NEWER)):
        drawn = augmentation.draw(change, (40, 32, 32, 3), rng(1))
        size = sum(array.nbytes for array in vars(drawn).values() if array is not None)
        assert size < 0.15 * 40 * 32 * 32 * 3


def test_newer_settings_leave_what_older_ones_draw_as_it_was(images):
    plain = augmentation.draw(OLDER, images.shape, rng(1))
    more = {name: value for name, value in NEWER.items() if name not in ("flip", "shear", "randaugment")}
    both = augmentation.draw(dataclasses.replace(OLDER, **more), images.shape, rng(1))
    for name in ("mirrored", "corner", "maps", "amount", "hidden"):
        assert (getattr(plain, name) == getattr(both, name)).all()


def test_each_of_many_equal_pictures_is_changed_in_its_own_way():
    equal = np.repeat(rng(3).integers(0, 256, (1, 16, 16, 3), np.uint8), 64, axis=0)
    for name, value in NEWER.items():
        if name in ("magnitude", "mixup", "cutmix"):  # these need other pictures
            continue
        made = augmentation.augment(equal, Augmentation(**{name: value}), rng())
        least = {"flip": 4, "erasing": 20}.get(name, 40)
        assert len(np.unique(made.reshape(64, -1), axis=0)) >= least, name


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


def test_vertical_flips_turn_half_of_the_pictures_upside_down(images):
    made = augmentation.augment(images, Augmentation(flip="vertical"), rng())
    turned = (made == images[:, ::-1]).all(axis=(1, 2, 3))
    assert 10 < turned.sum() < 30
    assert (made[~turned] == images[~turned]).all()
    forms = [images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]]
    both = augmentation.augment(images, Augmentation(flip="both"), rng())
    found = np.array([(both == form).all(axis=(1, 2, 3)) for form in forms])
    assert (found.sum(axis=0) == 1).all()
    assert (found.sum(axis=1) > 2).all()


def test_shear_slants_by_no_more_than_asked():
    line = np.zeros((100, 21, 21, 3), np.uint8)
    line[:, :, 10] = 255
    slanted = augmentation.augment(line, Augmentation(shear=30), rng())[..., 0]
    assert (slanted[:, 10, 10] == 255).all()  # about the middle
    top, bottom = slanted[:, 2].argmax(axis=1) - 10, slanted[:, 18].argmax(axis=1) - 10
    assert np.abs(top + bottom).max() <= 1  # straight
    assert np.abs(top).max() <= np.ceil(8 * np.tan(np.pi / 6))
    assert top.min() < -2 < 2 < top.max()


def test_contrast_spreads_values_about_the_mean():
    halves = np.full((60, 8, 8, 3), 100, np.uint8)
    halves[:, 4:] = 140
    made = augmentation.augment(halves, Augmentation(contrast=0.5), rng()).astype(int)
    dark, light = made[:, 0, 0, 0], made[:, 7, 0, 0]
    assert np.abs((dark + light) / 2 - 120).max() <= 1
    spread = (light - dark) / 40
    assert 0.45 < spread.min() < 0.7
    assert 1.3 < spread.max() < 1.55


def test_saturation_changes_colours_and_no_greys():
    grey = np.tile(rng().integers(0, 256, (60, 8, 8, 1), np.uint8), 3)
    assert (augmentation.augment(grey, Augmentation(saturation=0.9), rng()) == grey).all()
    red = np.full((60, 8, 8, 3), (160, 90, 90), np.uint8)
    made = augmentation.augment(red, Augmentation(saturation=0.5), rng()).astype(int)[:, 0, 0]
    assert np.abs(made @ (0.299, 0.587, 0.114) - 110.93).max() < 1
    strength = (made[:, 0] - made[:, 1]) / 70
    assert 0.45 < strength.min() < 0.7
    assert 1.3 < strength.max() < 1.55


def test_randaugment_does_nothing_at_magnitude_0_but_stretch_values():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)  # each value once: no room to stretch
    images = np.tile(every, (50, 1, 1, 3))
    assert (augmentation.augment(images, Augmentation(randaugment=3, magnitude=0), rng()) == images).all()
    strong = augmentation.augment(images, Augmentation(randaugment=3, magnitude=30), rng())
    assert (strong != images).any(axis=(1, 2, 3)).mean() > 0.75


def test_randaugment_draws_all_of_its_operations():
    drawn = augmentation.draw(Augmentation(randaugment=1, magnitude=30), (2000, 8, 8, 3), rng())
    assert set(drawn.tones[0, 0].tolist()) == set(range(7))
    assert set(np.unique(drawn.colour).round(3)) == set(np.unique(drawn.sharpness).round(3)) == {
        np.float32(0.1), 1.0, np.float32(1.9)
    }  # fmt: skip
    moved = drawn.maps - np.eye(2, 3, dtype=np.float32)
    sheared, shifted = np.abs(moved[:, [0, 1], [1, 0]]), np.abs(moved[..., 2])
    assert sheared.max() == pytest.approx(0.5)  # the sine of 30 degrees
    assert np.isclose(sheared, 0.3).any(axis=0).all()
    assert shifted.max() == pytest.approx(2 * 150 / 331)


def test_augmix_mixes_chains_with_shares_that_make_a_whole():
    drawn = augmentation.draw(Augmentation(augmix=3), (500, 8, 8, 3), rng())
    assert drawn.chain_weights.shape == (4, 500)
    assert np.allclose(drawn.chain_weights.sum(axis=0), 1)
    assert drawn.chain_weights.min() >= 0
    flat = np.full((50, 8, 8, 3), 128, np.uint8)
    assert (augmentation.augment(flat, Augmentation(augmix=3), rng()) == 128).all()


def test_augmix_changes_more_with_severity(images):
    off = [
        np.abs(augmentation.augment(images, Augmentation(augmix=severity), rng()).astype(int) - images).mean()
        for severity in (1, 10)
    ]
    assert 0 < off[0] < off[1]


def test_erasing_blanks_one_rectangle_in_a_share_of_the_pictures():
    white = np.full((400, 20, 30, 3), 255, np.uint8)
    blank = (augmentation.augment(white, Augmentation(erasing=0.25), rng()) == 128).all(axis=3)
    hit = blank.any(axis=(1, 2))
    assert 70 < hit.sum() < 130
    area = blank[hit].sum(axis=(1, 2))
    assert (area == blank[hit].any(axis=2).sum(axis=1) * blank[hit].any(axis=1).sum(axis=1)).all()
    assert 0.01 < (area / 600).min() < 0.1
    assert 0.25 < (area / 600).max() < 0.36
    assert (augmentation.augment(white, Augmentation(erasing=1.0), rng()) == 128).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_labels_are_mixed_by_the_share_of_the_pixels(name):
    values = rng().integers(0, 256, 200)
    images = np.broadcast_to(values[:, None, None, None], (200, 20, 30, 3)).astype(np.uint8)
    drawn = augmentation.draw(Augmentation(**{name: 1.0}), images.shape, rng())
    made = augmentation.apply(images, drawn)
    means = made.reshape(200, -1).mean(axis=1)
    assert np.abs(means - augmentation.mix(values.astype(np.float32), drawn)).max() < 0.51
    labels = augmentation.mix(np.eye(10, dtype=np.float32)[values % 10], drawn)
    assert labels.dtype == np.float32
    assert np.allclose(labels.sum(axis=1), 1)
    assert (drawn.share.min() < 0.15) & (drawn.share.max() > 0.85)
    assert 0.4 < drawn.share.mean() < 0.75  # rectangles are cut off at the edge
    kinds = [len(np.unique(picture)) for picture in made]
    assert max(kinds) == (1 if name == "mixup" else 2)  # blended everywhere, or one or the other


def test_a_small_alpha_leaves_most_pictures_nearly_alone():
    drawn = augmentation.draw(Augmentation(mixup=0.05), (500, 8, 8, 3), rng())
    assert (np.minimum(drawn.share, 1 - drawn.share) < 0.02).mean() > 0.7


def test_with_both_kinds_of_mixing_every_batch_gets_one():
    cut = [
        augmentation.draw(Augmentation(mixup=0.2, cutmix=1.0), (4, 8, 8, 3), rng(seed)).pasted is not None
        for seed in range(60)
    ]
    assert 15 < sum(cut) < 45


def test_a_batch_of_one_is_mixed_with_itself(images):
    one = images[:1]
    for change in (Augmentation(mixup=1), Augmentation(cutmix=1)):
        drawn = augmentation.draw(change, one.shape, rng())
        assert (augmentation.apply(one, drawn) == one).all()
        assert augmentation.mix(np.ones((1, 3), np.float32), drawn).tolist() == [[1, 1, 1]]


def test_any_batch_can_be_made_alone_with_everything_on(images):
    data = Dataset(images, np.arange(40) % 3, ("a", "b", "c"), tuple(map(str, range(40))))
    settings = Config(batch_size=16, augmentation=dataclasses.replace(OLDER, **NEWER))
    assert settings.soft_labels
    whole, alone = (Batches(data, settings, one_hot=True) for _ in range(2))
    whole.epoch = alone.epoch = 2
    first, second, third = (whole[step] for step in range(3))
    made, labels = alone[1]
    assert (made == second[0]).all()
    assert (labels == second[1]).all()
    assert (first[0] != second[0]).any()
    assert third[0].shape == (8, 16, 12, 3)
    assert ((first[1] > 0) & (first[1] < 1)).any()
    alone.epoch = 3
    assert (alone[1][0] != made).any()


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_run_with_everything_on_learns_and_resumes_to_the_same_end(tmp_path):
    change = dataclasses.replace(OLDER, **NEWER | {"flip": "none"})
    settings = dataclasses.replace(
        recipes.recipe("tiny"), data="digits", epochs=2, label_smoothing=0.1, precision="float32",
        augmentation=change,
    )  # fmt: skip
    whole = training.train(settings, runs=tmp_path, name="whole")
    assert whole.config.augmentation == change
    assert whole.scores("validation")["accuracy"] > 0.4
    with pytest.raises(Stopped):
        training.train(settings, runs=tmp_path, name="broken", extra_callbacks=[Interrupt()])
    broken = training.resume(tmp_path / "broken")
    one, other = (run.predictions("validation")["probabilities"] for run in (whole, broken))
    assert (np.asarray(one) == np.asarray(other)).all()
