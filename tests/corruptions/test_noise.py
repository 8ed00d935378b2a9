"""Noise: the deviations and shares that were published, on pictures of one value."""

import numpy as np
import pytest

from tenfold.corruptions import noise

GREY = np.full((64, 32, 32, 3), 128, np.uint8)


def drawn(function, severity, images=GREY):
    return function(images, severity, np.random.default_rng(0)).astype(float)


@pytest.mark.parametrize(("severity", "deviation"), [(1, 0.04), (5, 0.10)])
def test_gaussian_noise_has_its_deviation_everywhere(severity, deviation):
    values = drawn(noise.gaussian_noise, severity)
    assert values.mean() == pytest.approx(128, abs=0.2)
    assert values.std() == pytest.approx(255 * deviation, rel=0.02)


@pytest.mark.parametrize(("severity", "photons"), [(1, 500), (5, 50)])
def test_shot_noise_is_a_count(severity, photons):
    values = drawn(noise.shot_noise, severity)
    assert values.mean() == pytest.approx(128, abs=0.5)
    assert values.std() == pytest.approx(255 * (128 / 255 / photons) ** 0.5, rel=0.02)
    assert (drawn(noise.shot_noise, severity, np.zeros_like(GREY)) == 0).all()
    if photons == 50:
        assert len(np.unique(values)) < 50


def test_speckle_noise_grows_with_the_value():
    for value in (50, 150):
        values = drawn(noise.speckle_noise, 3, np.full_like(GREY, value))
        assert values.std() == pytest.approx(0.12 * value, rel=0.02)
    assert (drawn(noise.speckle_noise, 5, np.zeros_like(GREY)) == 0).all()


def test_impulses_are_black_or_white_and_all_else_stays():
    values = drawn(noise.impulse_noise, 5)
    assert set(np.unique(values)) == {0, 128, 255}
    assert (values == 0).mean() == pytest.approx(0.035, rel=0.05)
    assert (values == 255).mean() == pytest.approx(0.035, rel=0.05)
