"""Planes: there and back, mirrored places, and matrices that do what a loop would."""

import numpy as np
import pytest
from scipy import ndimage

from tenfold.corruptions import planes

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), np.uint8)


def test_planes_come_back_as_the_pictures_they_were():
    split = planes.split(IMAGES)
    assert split.shape == (3, 3, 8, 12)
    assert (split[2] == IMAGES[..., 2]).all()
    np.testing.assert_array_equal(planes.join(split), IMAGES)
    assert planes.join(np.array([-3, 260, 1.4, 1.6], np.float32).reshape(1, 1, 1, 4)).ravel().tolist() == [
        0, 255, 1, 2
    ]  # fmt: skip


def test_places_fold_about_the_outermost_pixels():
    assert planes.mirrored(np.arange(-4, 9), 4).tolist() == [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert planes.mirrored(np.array([-0.25, 3.25]), 4).tolist() == [0.25, 2.75]


def test_unit_counts_the_shorter_side():
    assert planes.unit(IMAGES) == 0.5
    assert planes.unit(np.empty((1, 24, 40, 3))) == 0.75
    assert planes.unit(np.empty((1, 256, 300, 3))) == 8


def test_separable_smooths_rows_and_columns():
    fields = IMAGES[..., 0].astype(np.float32)
    smooth = planes.separable(fields, planes.gaussian(8, 0.7), planes.gaussian(12, 1.3))
    expected = ndimage.gaussian_filter(fields, (0.7, 1.3), axes=(1, 2), mode="mirror")
    np.testing.assert_allclose(smooth, expected, atol=1e-3)


@pytest.mark.parametrize("size", [8, 32, 100])
def test_stretch_keeps_a_straight_line_straight_and_fills_the_picture(size):
    line = np.arange(32.0)
    stretched = planes.stretch(size) @ line
    inner = stretched[(stretched > 0) & (stretched < 31)]
    np.testing.assert_allclose(np.diff(inner), 32 / size, rtol=1e-4)
    assert stretched.mean() == pytest.approx(15.5)
    assert np.ptp(planes.stretch(size, zoom=2.0) @ line) == pytest.approx(15.5, abs=2)


def test_warping_and_looking_up_agree_with_scipy():
    field = IMAGES[0, :, :, 0].astype(np.float32)
    affine = np.array([[0.9, 0.2, 0.5], [-0.1, 1.1, -0.3]])
    middle = np.array([3.5, 5.5])
    offset = affine[:, 2] + middle - affine[:, :2] @ middle
    expected = ndimage.affine_transform(field, affine[:, :2], offset, order=1, mode="mirror")
    matrix = planes.warping(8, 12, affine)
    np.testing.assert_allclose(planes.warp(field[None], matrix)[0], expected, atol=1e-3)

    rows, columns = np.einsum("ij,jhw->ihw", affine[:, :2], np.indices((8, 12))) + offset[:, None, None]
    read = planes.look_up(planes.split(IMAGES[:1]), rows[None], columns[None])
    np.testing.assert_allclose(read[0, 0], expected, atol=1e-3)


def test_a_streak_reaches_to_one_side_with_half_a_bell():
    images = np.zeros((2, 9, 9, 1), np.float32)
    images[:, 4, 4] = 1
    right, down = planes.streak(images, np.array([0.0, 90.0]), 2, 1.0)[..., 0]
    weights = np.exp(-0.5 * np.arange(4) ** 2)  # the fifth is less than a thousandth
    np.testing.assert_allclose(right[4, 1:5], weights[::-1] / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(right, down.T, rtol=1e-5)
    assert right.sum() == pytest.approx(1)
