"""Near duplicates: altered copies are found, look-alikes are not."""

import io

import numpy as np
import pytest
from PIL import Image

from tenfold.doctor import likeness
from tenfold.doctor.likeness import near_duplicates


def jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=70)
    return np.array(Image.open(buffer))


CHANGES = {
    "moved": lambda image: np.roll(image, (1, -1), (0, 1)),
    "saved again": jpeg,
    "brightened": lambda image: np.clip(image * 1.2 + 5, 0, 255).astype(np.uint8),
    "mirrored": lambda image: image[:, ::-1],
    "mirrored and moved": lambda image: np.roll(image[:, ::-1], 1, 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_altered_copies_are_found_and_nothing_else(scenes, change):
    pictures = scenes(30)
    copies = np.stack([CHANGES[change](image) for image in pictures[:5]])
    found = near_duplicates(np.concatenate([pictures, copies]))
    assert found.first.tolist() == [0, 1, 2, 3, 4]
    assert found.second.tolist() == [30, 31, 32, 33, 34]
    assert found.mirrored.tolist() == ["mirrored" in change] * 5
    assert not found.learned.any()


def test_the_same_sky_over_other_ships_is_no_duplicate(scenes):
    """They agree in all but the details."""
    sky = np.linspace(250, 60, 32)[:, None, None] * np.ones((1, 32, 3))
    one, other = sky.copy(), sky.copy()
    one[18:21, 4:12] = 20
    other[18:21, 15:27] = 20
    assert len(near_duplicates(np.stack([one, other]).astype(np.uint8))) == 0


def test_even_pictures_are_like_nothing():
    assert len(near_duplicates(np.full((3, 32, 32, 3), 9, np.uint8))) == 0


def test_a_picture_is_like_itself_and_not_more():
    images = np.random.default_rng(0).integers(0, 256, (500, 32, 32, 3), dtype=np.uint8)
    for found in likeness.compare(images, images.copy(), 2):
        assert found.max() <= 1
        assert found.min() > 0.9999


def test_tiles_and_chunks_change_nothing(scenes, monkeypatch):
    pictures = np.concatenate([scenes(20), scenes(20)[::-1]])
    whole = near_duplicates(pictures)
    monkeypatch.setattr(likeness, "_TILE", 7)
    monkeypatch.setattr(likeness, "_CHUNK", 3)
    pieces = near_duplicates(pictures)
    assert len(whole) == 20
    assert (whole.first == pieces.first).all()
    assert (whole.second == pieces.second).all()


def test_learned_features_find_what_moved_further(scenes):
    pictures = scenes(12)
    pictures[11] = np.roll(pictures[0], (3, 3), (0, 1))
    features = np.random.default_rng(0).normal(size=(12, 40)).astype(np.float32)
    assert len(near_duplicates(pictures, features)) == 0
    features[11] = features[0]
    found = near_duplicates(pictures, features)
    assert (found.first.tolist(), found.second.tolist()) == ([0], [11])
    assert found.learned.all()
