"""Heat maps of pictures whose evidence lies in a known corner."""

import time
from typing import get_args

import keras
import numpy as np
import pytest

from tenfold.errors import UsageError
from tenfold.explanation import Method, heat_maps, occlusion

METHODS = get_args(Method)


def in_the_corner(heat):
    """The share of each map's mass in the upper left quarter."""
    half = heat.shape[1] // 2
    return heat[:, :half, :half].sum(axis=(1, 2)) / heat.sum(axis=(1, 2))


@pytest.mark.parametrize("method", METHODS)
def test_most_of_the_heat_lies_where_the_evidence_is(model, corners, method):
    images, labels = corners
    heat = heat_maps(model, images, labels, method=method)
    assert heat.shape == images.shape[:3]
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    if method.startswith("gradcam") and any(
        isinstance(layer, keras.layers.Flatten) for layer in model.layers
    ):
        # One weight a map says little where the places of a map are told apart: only the mean points right.
        assert in_the_corner(heat.mean(axis=0, keepdims=True)) > 0.3
        return
    np.testing.assert_allclose(heat.max(axis=(1, 2)), 1, atol=1e-6)
    share = in_the_corner(heat)
    assert np.median(share) > 0.6
    assert (share > 0.4).mean() > 0.9


def test_the_hottest_place_lies_on_the_patch(models_of_corners, corners):
    images, labels = corners
    for name, model in models_of_corners.items():
        heat = heat_maps(model, images, labels)
        hottest = np.stack(np.unravel_index(heat.reshape(len(heat), -1).argmax(axis=1), heat.shape[1:]))
        assert (hottest < 11).all(axis=0).mean() > 0.9, name


@pytest.mark.parametrize("method", METHODS)
def test_explaining_leaves_the_model_as_it_was(model, corners, method):
    images, labels = corners
    before = model.predict(images, verbose=0)
    weights = [weight.copy() for weight in model.get_weights()]
    heat_maps(model, images[:3], labels[:3], method=method)
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_batch_gives_what_single_pictures_give(model, corners):
    images, labels = corners
    together = heat_maps(model, images[:5], labels[:5])
    single = [heat_maps(model, images[i : i + 1], labels[i : i + 1])[0] for i in range(5)]
    np.testing.assert_allclose(together, single, atol=1e-4)


def test_a_sure_answer_still_has_evidence(models_of_corners, corners):
    images, labels = corners
    model = keras.models.clone_model(models_of_corners["sequential"])
    weights = models_of_corners["sequential"].get_weights()
    model.set_weights([*weights[:-2], 1000 * weights[-2], 1000 * weights[-1]])
    assert model.predict(images, verbose=0).max(axis=1).min() == 1
    np.testing.assert_allclose(heat_maps(model, images, labels).max(axis=(1, 2)), 1, atol=1e-6)


def test_frozen_weights_change_nothing(corners, models_of_corners):
    images, labels = corners
    model = keras.models.clone_model(models_of_corners["nested"])
    model.set_weights(models_of_corners["nested"].get_weights())
    model.trainable = False
    expected = heat_maps(models_of_corners["nested"], images[:4], labels[:4])
    np.testing.assert_allclose(heat_maps(model, images[:4], labels[:4]), expected, atol=1e-5)


def test_without_convolutions_occlusion_is_the_way(corners):
    images, labels = corners
    model = keras.Sequential([keras.Input(images.shape[1:]), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(UsageError, match="Use occlusion"):
        heat_maps(model, images, labels)
    assert heat_maps(model, images[:2], labels[:2], method="occlusion").shape == (2, 24, 24)


def test_occlusion_asks_a_function_alone():
    image = np.full((1, 32, 32, 3), 100, np.uint8)
    image[0, 4:8, 20:24] = 255

    def bright(pictures):
        found = (pictures > 200).any(axis=(1, 2, 3)).astype(np.float32)
        return np.stack([1 - found, found], axis=1)

    heat = occlusion(bright, image, np.array([1]))[0]
    rows, columns = np.nonzero(heat == 1)
    assert 2 <= rows.mean() <= 9
    assert 18 <= columns.mean() <= 25
    assert not heat[20:].any()
    assert not occlusion(bright, image, np.array([0])).any()  # nothing speaks for the other class


def test_wrong_methods_and_no_pictures(models_of_corners, corners):
    model = models_of_corners["sequential"]
    with pytest.raises(UsageError, match=r"Did you mean 'gradcam"):
        heat_maps(model, *corners, method="grad-cam")
    assert heat_maps(model, corners[0][:0], corners[1][:0]).shape == (0, 24, 24)


def test_a_picture_takes_less_than_a_second(model, corners):
    images, labels = corners
    for method in METHODS:
        start = time.perf_counter()
        heat_maps(model, images[:1], labels[:1], method=method)
        assert time.perf_counter() - start < 1, method
