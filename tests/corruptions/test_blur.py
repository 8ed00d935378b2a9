"""Blur: what becomes of one bright point, of a plain picture and of an edge."""

import numpy as np
import pytest
from scipy import ndimage

from tenfold.corruptions import blur

POINT = np.zeros((16, 32, 32, 3), np.uint8)
POINT[:, 16, 16] = 250
NOISE = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
ALL = [blur.gaussian_blur, blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur]


def blurred(function, images, severity):
    return function(images, severity, np.random.default_rng(0)).astype(int)


@pytest.mark.parametrize("function", ALL)
def test_a_plain_picture_stays_as_it_is_up_to_its_border(function):
    plain = np.full((2, 32, 32, 3), (10, 100, 200), np.uint8)
    for severity in (1, 5):
        assert (blurred(function, plain, severity) == plain).all()


def test_gaussian_blur_is_that_of_scipy():
    expected = ndimage.gaussian_filter(NOISE.astype(float), 1.0, axes=(1, 2), mode="mirror")
    assert np.abs(blurred(blur.gaussian_blur, NOISE, 5) - expected).max() < 0.51


def test_defocus_makes_a_disk_of_a_point():
    seen = blurred(blur.defocus_blur, POINT, 5)[0, :, :, 0]
    assert (seen[15:18, 15:18] >= 27).all()  # a ninth each, with a slightly soft rim
    seen[15:18, 15:18] = 0
    assert (seen == 0).all()
    cross = blurred(blur.defocus_blur, POINT, 4)[0, 15:18, 15:18, 1]
    np.testing.assert_allclose(cross, 50 * np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]), atol=1)


def test_glass_takes_every_value_from_a_pixel_nearby():
    steps = np.broadcast_to(8 * np.arange(32, dtype=np.uint8)[:, None, None], (4, 32, 32, 3))
    seen = blurred(blur.glass_blur, steps, 1)
    assert set(np.unique(steps - seen)) == {0, 8}
    assert ((steps - seen)[:, 2:] == 0).mean() == pytest.approx(0.5, abs=0.05)


def test_motion_draws_a_point_out_to_one_side():
    seen = blurred(blur.motion_blur, POINT, 3)[..., 0]
    assert np.abs(seen.sum(axis=(1, 2)) - 250).max() <= 4
    columns = seen.sum(axis=1)
    assert (columns[:, 17:] == 0).all()
    assert (np.diff(columns.mean(axis=0)[11:17]) > 0).all()  # brightest where it is, then ever darker
    assert len({picture.tobytes() for picture in seen}) > 8  # in a direction of its own


def test_zoom_leaves_the_middle_and_smears_the_border():
    far = np.abs(blurred(blur.zoom_blur, NOISE, 5) - NOISE).mean(axis=(0, 3))
    assert far[14:18, 14:18].mean() < 0.9 * far[[2, -3]].mean()
