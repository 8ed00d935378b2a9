"""Digital faults: by hand, and against Pillow and the standard library where they do the same."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from tenfold.corruptions import digital

NOISE = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
RAMP = np.broadcast_to(8 * np.arange(32, dtype=np.uint8)[:, None], (6, 32, 32, 3))


def seen(function, images, severity):
    return function(images, severity, np.random.default_rng(0))


def test_contrast_draws_each_channel_to_its_mean():
    images = np.zeros((1, 8, 8, 3), np.uint8)
    images[0, :4] = (200, 100, 0)
    changed = seen(digital.contrast, images, 2)
    assert changed[0, 0, 0].tolist() == [150, 75, 0]
    assert changed[0, 7, 0].tolist() == [50, 25, 0]
    assert np.ptp(seen(digital.contrast, images, 5)[..., 0]) == 30


@pytest.mark.parametrize(("severity", "factor", "more"), [(1, 0.3, 0), (4, 2, 0.1), (5, 2.5, 0.2)])
def test_saturation_is_that_of_hsv(severity, factor, more):
    colours = NOISE[:1, :8, :8].copy()
    colours[0, 0, :3] = [[0, 0, 0], [255, 255, 255], [90, 90, 90]]
    hsv = [colorsys.rgb_to_hsv(*(colour / 255)) for colour in colours.reshape(-1, 3)]
    expected = [255 * np.array(colorsys.hsv_to_rgb(h, min(s * factor + more, 1), v)) for h, s, v in hsv]
    changed = seen(digital.saturate, colours, severity).reshape(-1, 3)
    np.testing.assert_allclose(changed, expected, atol=0.51)


@pytest.mark.parametrize(("severity", "quality"), [(1, 80), (5, 40)])
def test_jpeg_is_that_of_pillow(severity, quality):
    changed = seen(digital.jpeg_compression, NOISE, severity)
    for picture, result in zip(NOISE, changed, strict=True):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        np.testing.assert_array_equal(result, np.asarray(Image.open(file)))


@pytest.mark.parametrize(("severity", "size"), [(1, 30), (3, 27), (5, 20)])
def test_pixelate_is_that_of_pillow_but_for_its_rounding(severity, size):
    changed = seen(digital.pixelate, NOISE, severity).astype(int)
    for picture, result in zip(NOISE, changed, strict=True):
        small = Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)
        assert np.abs(result - np.asarray(small.resize((32, 32), Image.Resampling.BOX))).max() <= 1


def test_large_pictures_keep_a_smaller_share_of_their_pixels():
    large = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
    row = seen(digital.pixelate, large, 5)[0, 0].astype(int)
    assert 1 + np.diff(row, axis=0).any(axis=1).sum() == int(128 * 0.65**3)


def test_elastic_bends_and_moves_without_changing_the_colours():
    assert (seen(digital.elastic_transform, np.full_like(NOISE, 77), 5) == 77).all()
    for severity in (1, 3, 5):
        changed = seen(digital.elastic_transform, RAMP, severity).astype(int)
        moved = np.abs(changed - RAMP)[:, 8:24, 8:24] / 8
        assert 0.1 < moved.mean() < 4  # pixels
    straight, wavy = (
        np.abs(np.diff(seen(digital.elastic_transform, RAMP, s).astype(int)[:, 8:24, 8:24], 2, axis=2)).mean()
        for s in (1, 5)
    )
    assert straight < 1 < wavy
