"""Weather: lightness by hand, and what each kind adds to black, white and grey."""

import colorsys

import numpy as np
import pytest

from tenfold.corruptions import weather

BLACK = np.zeros((64, 32, 32, 3), np.uint8)
GREY = np.full((64, 32, 32, 3), 100, np.uint8)


def seen(function, images, severity, seed=0):
    return function(images, severity, np.random.default_rng(seed)).astype(int)


def test_brightness_is_that_of_hsv():
    colours = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    colours[0, 0, :2] = [[0, 0, 0], [255, 255, 255]]
    hsv = [colorsys.rgb_to_hsv(*(colour / 255)) for colour in colours.reshape(-1, 3)]
    expected = [255 * np.array(colorsys.hsv_to_rgb(h, s, min(v + 0.3, 1))) for h, s, v in hsv]
    np.testing.assert_allclose(seen(weather.brightness, colours, 5).reshape(-1, 3), expected, atol=0.51)


def test_fog_hides_more_and_more_and_never_outshines_the_brightest_value():
    images = GREY.copy()
    images[:, ::2] = 200
    contrast = []
    for severity in (1, 3, 5):
        foggy = seen(weather.fog, images, severity)
        assert foggy.max() <= 200
        assert (np.ptp(foggy, axis=-1) == 0).all()  # fog has no colour
        contrast.append((foggy[:, ::2] - foggy[:, 1::2]).mean())
    assert contrast == pytest.approx([100 * 200 / 251, 100 * 200 / 391.25, 100 * 200 / 582.5], rel=0.05)


def test_fog_lies_in_patches_and_not_in_grains():
    patches = seen(weather.fog, GREY, 3)[..., 0]
    near = np.abs(np.diff(patches, axis=1)).mean()
    far = np.abs(patches[:, :16] - patches[:, 16:]).mean()
    assert far > 5 * near


def test_frost_is_bluish_ice_of_uneven_thickness():
    ice = seen(weather.frost, BLACK, 5)
    assert (ice[..., 2] >= ice[..., 0]).all()
    assert ice[..., 2].mean() == pytest.approx(0.45 * 255 * 0.58, rel=0.15)
    assert ice[..., 2].std() > 15
    assert ice.max() <= round(0.45 * 255)
    np.testing.assert_allclose(seen(weather.frost, GREY, 5) - ice, 75, atol=1)


def test_snow_falls_in_streaks_from_above():
    flakes = seen(weather.snow, BLACK, 3)[..., 0] - 13  # black turns paler by a tenth of a half
    assert flakes.min() == 0
    down, right = (np.abs(np.diff(flakes, axis=axis)).mean() for axis in (1, 2))
    assert down < 0.8 * right
    shares = [(seen(weather.snow, BLACK, s)[..., 0] > 40).mean() for s in (1, 5)]
    assert shares[0] < 0.1 < shares[1]


def test_water_brightens_and_mud_darkens_some_of_the_picture():
    water = seen(weather.spatter, GREY, 3) - 100
    assert water.min() == 0
    assert water[..., 0].max() == pytest.approx(0.5 * 175, abs=1)
    assert 0.05 < (water > 0).any(axis=-1).mean() < 0.5
    mud = seen(weather.spatter, GREY, 5) - 100
    assert mud.max() == 0
    assert 0.02 < (mud < 0).any(axis=-1).mean() < 0.3
    assert mud[..., 2].min() >= 20 - 100
