"""Previews: what training would draw, with the shares of mixed labels, in a figure that says its settings."""

import dataclasses

import numpy as np
import pytest

from tenfold import augmentation, datasets
from tenfold.config import Augmentation, Config
from tenfold.reporting import plots, previews


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", image_size=16)


def shown(figure):
    return [text.get_text() for text in (*figure.axes[0].texts, *figure.texts)]


def pictures(figure):
    return [image.get_array() for image in figure.axes[0].images]


def test_the_first_column_is_the_picture_and_the_others_are_draws(digits):
    settings = Config(augmentation=Augmentation(brightness=0.3))
    figure = previews.preview(digits, settings, pictures=3, draws=4)
    found = pictures(figure)
    assert len(found) == 15
    for row in (found[:5], found[5:10], found[10:]):
        assert (digits.images == row[0]).all(axis=(1, 2, 3)).any()
        steps = [np.unique(np.clip(np.asarray(row[0], int) + amount, 0, 255)) for amount in range(-77, 78)]
        for draw in row[1:]:
            assert any(np.array_equal(np.unique(draw), values) for values in steps)
        assert len({draw.tobytes() for draw in row}) > 3
    assert "Augmentation: none, brightness=0.3; seed 0" in shown(figure)


def test_each_row_is_of_another_class_as_far_as_there_are_classes(digits):
    figure = previews.preview(digits, Config(), pictures=12, draws=1)
    names = shown(figure)[:24:2]
    assert sorted(names[:10]) == sorted(digits.class_names)
    assert len(set(names[10:])) == 2


def test_mixed_pictures_tell_their_shares(digits):
    settings = Config(augmentation=Augmentation(cutmix=1.0))
    texts = shown(previews.preview(digits, settings, pictures=5, draws=6))
    told = [text for text in texts if "%" in text]
    assert len(told) == 30
    for text in told:
        assert 98 <= sum(int(line.split()[-1].rstrip("%")) for line in text.splitlines()) <= 101


def test_the_seed_decides_and_alternating_flips_alternate(digits):
    settings = Config(augmentation=Augmentation(flip="alternate"), seed=3)
    one, same = (pictures(previews.preview(digits, settings, pictures=2, draws=2)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert np.array_equal(one[1], np.asarray(one[2])[:, ::-1])
    other = pictures(previews.preview(digits, dataclasses.replace(settings, seed=4), pictures=2, draws=2))
    assert not np.array_equal(one[0], other[0])


def test_more_rows_than_pictures_draw_what_there_is(digits):
    few = digits.subset(np.arange(3))
    assert len(pictures(previews.preview(few, Config(), pictures=9, draws=2))) == 9


def test_it_becomes_a_png_whose_title_clears_the_pictures(digits):
    long = Augmentation("random", 4, 15, 0.1, 0.1, 0.1, 3, randaugment=2, mixup=0.2, cutmix=1.0, erasing=0.2)
    figure = previews.preview(digits, Config(augmentation=long), pictures=2, draws=3)
    figure.draw_without_rendering()
    title = figure.texts[0].get_window_extent()
    assert title.y0 >= figure.axes[0].get_window_extent().y1
    assert title.x1 <= figure.bbox.x1
    assert plots.png(figure).startswith(b"\x89PNG")


def test_the_pictures_are_those_that_augmentation_makes(digits):
    change = Augmentation(flip="random", crop=2, randaugment=2)
    found = pictures(previews.preview(digits, Config(augmentation=change), pictures=4, draws=1))
    originals = np.stack([np.asarray(image) for image in found[::2]])
    drawn = augmentation.draw(change, originals.shape, np.random.default_rng([0, 0, 0]))
    assert np.array_equal(
        np.stack([np.asarray(image) for image in found[1::2]]), augmentation.apply(originals, drawn)
    )
