"""Features of pictures: neighbours, the map, what is kept in the run folder, filters."""

import keras
import numpy as np
import pytest

from tenfold.errors import DataError
from tenfold.explanation import features


def clusters(count=60, groups=3):
    random = np.random.default_rng(0)
    centres = random.normal(size=(groups, 12))
    labels = np.arange(count) % groups
    return features.unit((centres[labels] + 0.1 * random.normal(size=(count, 12))).astype(np.float32)), labels


def test_every_picture_is_its_own_nearest():
    known, labels = clusters()
    rows, cosines = features.nearest(known, known, 5)
    np.testing.assert_array_equal(rows[:, 0], np.arange(60))
    np.testing.assert_allclose(cosines[:, 0], 1, atol=1e-5)
    assert (np.diff(cosines) <= 0).all()
    assert (labels[rows] == labels[:, None]).all()


def test_more_neighbours_than_there_are_gives_all():
    known, _ = clusters(4, 2)
    assert features.nearest(known, known[:1], 99)[0].shape == (1, 4)


def test_a_picture_without_features_is_near_to_nothing():
    known, _ = clusters(4, 2)
    _, cosines = features.nearest(known, features.unit(np.zeros((1, 12), np.float32)), 2)
    assert not cosines.any()


def test_groups_stay_together_on_the_map():
    known, labels = clusters()
    points = features.flat_map(known, seed=3)
    assert points.shape == (60, 2)
    np.testing.assert_array_equal(points, features.flat_map(known, seed=3))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).all()


def test_a_map_of_few_pictures_is_refused():
    with pytest.raises(DataError, match="Received: 3"):
        features.flat_map(clusters(3, 1)[0])


def test_filters_are_grey_where_a_weight_is_nothing():
    layer = keras.layers.Conv2D(2, 3)
    layer.build((None, 8, 8, 3))
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[0, 1, 2, 0] = -4
    layer.set_weights([kernel, np.zeros(2, np.float32)])
    shown = features.filters(layer)
    assert shown.shape == (2, 3, 3, 3)
    assert shown[0, 0, 1, 2] == 0
    assert (shown[1] == 0.5).all()


def test_filters_of_one_channel_are_shown_in_grey():
    layer = keras.layers.Conv2D(4, 2)
    layer.build((None, 8, 8, 1))
    shown = features.filters(layer)
    assert shown.shape == (4, 2, 2, 3)
    np.testing.assert_array_equal(shown[..., 0], shown[..., 2])
