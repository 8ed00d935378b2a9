"""Rounding weights: to few steps, and with errors that cancel."""

import numpy as np

from tenfold.exporting.rounding import STEPS, evened


def rounded(kernel):
    scale = np.abs(kernel).max(axis=(1, 2), keepdims=True) / STEPS
    return np.rint(kernel / scale) * scale, scale


def test_errors_cancel_in_every_window_and_every_filter():
    kernel = np.random.default_rng(0).normal(0, 1, (12, 20, 9)).astype(np.float32)
    even = evened(kernel)
    plain, scale = rounded(kernel)
    error, before = (even - kernel) / scale, (plain - kernel) / scale
    assert np.abs(error.sum(axis=2)).max() <= 1.5  # half a step, and one where the filter's own sum asked
    assert np.abs(error.sum(axis=(1, 2))).max() <= 0.51
    assert np.abs(before.sum(axis=2)).max() > 1.5
    assert np.abs(before.sum(axis=(1, 2))).max() > 2
    assert np.abs(error).max() <= 1.01


def test_who_rounds_it_again_changes_nothing():
    kernel = np.random.default_rng(1).normal(0, 1, (5, 7, 9)).astype(np.float32)
    even = evened(kernel)
    assert even.dtype == np.float32
    np.testing.assert_allclose(rounded(even)[0], even, atol=1e-6)
    np.testing.assert_array_equal(np.abs(even).max(axis=(1, 2)), np.abs(kernel).max(axis=(1, 2)))


def test_windows_of_one_place_and_empty_filters():
    kernel = np.random.default_rng(2).normal(0, 1, (4, 300, 1)).astype(np.float32)
    kernel[1] = 0
    even = evened(kernel)
    assert not even[1].any()
    error = (even - kernel).sum(axis=(1, 2))
    assert np.abs(error).max() <= 0.51 * np.abs(kernel).max() / STEPS
