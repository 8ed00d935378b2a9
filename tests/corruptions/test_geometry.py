"""Geometry: exact where pixels meet pixels, and in the direction that the names say."""

import numpy as np
import pytest

from tenfold.corruptions import geometry

NOISE = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


def point(row, column):
    images = np.zeros((1, 33, 33, 3), np.uint8)
    images[0, row, column] = 200
    return images


def place(images):
    return np.unravel_index(images[0, :, :, 0].argmax(), images.shape[1:3])


def test_a_shift_by_whole_pixels_copies_them_and_mirrors_the_rest():
    moved = geometry.shift(NOISE, 2, -3)
    np.testing.assert_array_equal(moved[:, 2:, :-3], NOISE[:, :-2, 3:])
    np.testing.assert_array_equal(moved[:, :2, :-3], NOISE[:, 2:0:-1, 3:])


def test_a_shift_by_half_a_pixel_is_the_mean_of_two():
    moved = geometry.shift(NOISE, 0, 0.5).astype(float)
    expected = (NOISE[:, :, 1:].astype(float) + NOISE[:, :, :-1]) / 2
    assert np.abs(moved[:, :, 1:] - expected).max() <= 0.5


def test_rotation_is_counter_clockwise_and_exact_at_right_angles():
    np.testing.assert_array_equal(geometry.rotate(NOISE, 90), np.rot90(NOISE, axes=(1, 2)))
    assert place(geometry.rotate(point(16, 24), 45)) == (10, 22)  # from the right to the upper right


def test_scale_enlarges_about_the_middle():
    assert place(geometry.scale(point(16, 20), 1.5)) == (16, 22)
    small = geometry.scale(point(16, 24), 0.5)[0, ..., 0]
    assert small[16, 20] == small[0, 20] == 200  # and a mirror image of it
    np.testing.assert_array_equal(geometry.scale(NOISE, 1.0), NOISE)


@pytest.mark.parametrize("size", [(8, 8), (20, 30)])
def test_other_sizes_and_no_pictures(size):
    images = np.full((2, *size, 3), 9, np.uint8)
    for changed in (
        geometry.shift(images, 1.5, 0), geometry.rotate(images, 33), geometry.scale(images, 0.6)
    ):  # fmt: skip
        np.testing.assert_array_equal(changed, images)
    assert geometry.rotate(images[:0], 10).shape == (0, *size, 3)
