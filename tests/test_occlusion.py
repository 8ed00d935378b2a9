"""Occlusion: the heat lies on what the answer rests on, whatever gives the answers."""

import numpy as np

from tenfold.occlusion import covered, fall, mean_colour, occlusion


def upper_left(images):
    """A model that looks at the upper left quarter alone: the brighter, the surer of class 1."""
    bright = images[:, :8, :8].mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - bright, bright], axis=1).astype(np.float32)


def spot():
    image = np.zeros((16, 16, 3), np.uint8)
    image[:8, :8] = 255
    return image


def test_the_heat_lies_where_the_model_looks():
    (heat,) = occlusion(upper_left, spot()[None], np.array([1]))
    assert heat.shape == (16, 16)
    assert heat.max() == 1
    assert heat[:8, :8].sum() > 0.8 * heat.sum()


def test_nothing_is_hot_where_nothing_speaks_for_the_class():
    (heat,) = occlusion(upper_left, spot()[None], np.array([0]))
    assert not heat.any()


def test_its_two_halves_make_the_same_map():
    shown = covered(spot())
    np.testing.assert_array_equal(shown[-1], spot())
    assert (shown[0][:4, :4] == mean_colour(spot())).all()
    heat = fall(upper_left(shown)[:, 1], 16, 16)
    np.testing.assert_allclose(heat, occlusion(upper_left, spot()[None], np.array([1]))[0], atol=1e-6)
