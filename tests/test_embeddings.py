"""Features of pictures: computed once, found again, never those of another network or other pictures."""

import os

import keras
import numpy as np
import pytest

from tenfold import embeddings


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tenfold" / "features"


@pytest.fixture
def body():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    )


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3), np.uint8)


def computed(body, images, fingerprint="these"):
    """The features, and how many pictures were computed for them."""
    told = []
    found = embeddings.features(
        body, images, fingerprint, tell=lambda done, total: told.append((done, total))
    )
    return found, told


def test_they_are_computed_once_and_those_that_the_network_gives(body, images, cache):
    first, told = computed(body, images)
    assert told == [(256, 300), (300, 300)]
    again, told = computed(body, images)
    assert told == []
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, body.predict(images, verbose=0), rtol=1e-5, atol=1e-4)
    assert (first.dtype, first.shape) == (np.float32, (300, 4))
    assert len(list(cache.iterdir())) == 1


def test_another_network_or_other_pictures_are_computed_anew(body, images):
    first = computed(body, images)[0]
    assert computed(body, images, "others")[1]
    body.set_weights([value + 1 for value in body.get_weights()])
    second, told = computed(body, images)
    assert told
    assert np.abs(first - second).min() > 0
    strided = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, strides=2), keras.layers.GlobalAveragePooling2D()]
    )
    strided.set_weights(body.get_weights())
    assert computed(strided, images)[1]


def test_a_network_that_was_built_again_is_the_same_network(body, images):
    computed(body, images)
    copy = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    )
    copy.set_weights(body.get_weights())
    assert computed(copy, images)[1] == []


def test_damaged_entries_are_computed_anew(body, images, cache):
    first = computed(body, images)[0].copy()
    (entry,) = cache.iterdir()
    for damage in (b"", entry.read_bytes()[:200]):
        entry.write_bytes(damage)
        found, told = computed(body, images)
        assert told
        np.testing.assert_array_equal(found, first)


def test_where_nothing_can_be_kept_they_are_computed_all_the_same(body, images, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file in the place of the folder")
    found, told = computed(body, images)
    assert found.shape == (300, 4)
    assert told[-1] == (300, 300)


def test_what_was_unused_for_longest_makes_room(body, images, cache, monkeypatch):
    for number in range(3):
        computed(body, images, str(number))
        for age, entry in enumerate(sorted(cache.iterdir(), key=os.path.getmtime, reverse=True)):
            os.utime(entry, (1e9 - 100 * age, 1e9 - 100 * age))
    size = next(cache.iterdir()).stat().st_size
    computed(body, images, "0")  # used again, so not the oldest any more
    monkeypatch.setattr(embeddings, "MOST", 2 * size)
    computed(body, images, "3")
    assert len(list(cache.iterdir())) == 2
    assert computed(body, images, "3")[1] == computed(body, images, "0")[1] == []


def test_large_pictures_go_in_smaller_batches():
    small = keras.Sequential([keras.Input((256, 256, 3)), keras.layers.GlobalAveragePooling2D()])
    told = computed(small, np.zeros((40, 256, 256, 3), np.uint8))[1]
    assert told == [(32, 40), (40, 40)]
