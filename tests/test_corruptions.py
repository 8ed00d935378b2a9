"""Corruptions: each keeps what pictures are, grows with its strength, and depends on nothing but its row."""

import itertools

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from tenfold import corruptions
from tenfold.corruptions import CANONICAL, CORRUPTIONS, GROUPS, SEVERITIES, corrupt
from tenfold.errors import DataError, UsageError

# Their published parameters change more than one thing at a time, so a stronger one need not lie farther
# away: colour is drained and then exaggerated, ice darkens what it covers, affine maps give way to waves,
# water to mud, and a blur makes pixels that have changed places look less so.
MIXED = {"saturate", "frost", "elastic_transform", "spatter", "glass_blur"}


@pytest.fixture(scope="module")
def pictures():
    """40 real pictures of 32 x 32, cut from scikit-learn's two photographs."""
    cut = []
    for name in ("china.jpg", "flower.jpg"):
        small = np.asarray(Image.fromarray(load_sample_image(name)).resize((160, 128), Image.Resampling.BOX))
        cut.append(small.reshape(4, 32, 5, 32, 3).swapaxes(1, 2).reshape(20, 32, 32, 3))
    return np.concatenate(cut)


def distance(a, b):
    return float(np.abs(a.astype(float) - b).mean())


def test_the_published_nineteen_are_there_and_fifteen_count():
    assert len(CORRUPTIONS) == 19
    assert len(CANONICAL) == 15
    assert list(GROUPS) == ["noise", "blur", "weather", "digital"]
    assert set(CORRUPTIONS) - set(CANONICAL) == {"speckle_noise", "gaussian_blur", "spatter", "saturate"}
    assert all(CORRUPTIONS[name].__doc__ for name in CORRUPTIONS)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_strength_takes_a_picture_farther_from_what_it_was(name, pictures):
    before = pictures.copy()
    changed = [corrupt(pictures, name, severity) for severity in SEVERITIES]
    assert (pictures == before).all()
    for images in changed:
        assert images.dtype == np.uint8
        assert images.shape == pictures.shape
    far = [distance(images, pictures) for images in changed]
    assert min(far) > 0.3
    assert far[0] > 3 or max(far) > 3  # of 255 levels: somebody would notice
    if name not in MIXED:
        assert all(more > 0.98 * less for less, more in itertools.pairwise(far))
    assert len({images.tobytes() for images in changed}) == len(SEVERITIES)


def test_what_grows_in_another_way(pictures):
    colour = [np.ptp(corrupt(pictures, "saturate", s).astype(int), axis=-1).mean() for s in SEVERITIES]
    own = np.ptp(pictures.astype(int), axis=-1).mean()
    assert colour[1] < colour[0] < own < colour[2] < colour[3] < colour[4]
    spatter = [distance(corrupt(pictures, "spatter", s), pictures) for s in SEVERITIES]
    assert spatter[:3] == sorted(spatter[:3])
    assert spatter[3] < spatter[4]
    glass = [distance(corrupt(pictures, "glass_blur", s), pictures) for s in SEVERITIES]
    assert max(glass[:3]) < min(glass[3:])

    def kept(images):
        """How much of a picture's own pattern is left."""
        a, b = (x.reshape(len(x), -1) - x.mean(axis=(1, 2, 3))[:, None] for x in (images, pictures))
        return float((a * b).sum() / (b * b).sum())

    frost = [kept(corrupt(pictures, "frost", s)) for s in SEVERITIES]
    assert frost[4] < frost[2] < frost[0]


def test_no_two_are_alike(pictures):
    changed = {name: corrupt(pictures, name, 5) for name in CORRUPTIONS}
    for one, other in itertools.combinations(CORRUPTIONS, 2):
        assert distance(changed[one], changed[other]) > 0.5, (one, other)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_picture_depends_on_its_row_and_not_on_its_company(name, pictures, monkeypatch):
    monkeypatch.setattr(corruptions, "_MOST", 16)  # several blocks
    whole = corrupt(pictures, name, 5)
    parts = [corrupt(pictures[a:b], name, 5, first=a) for a, b in ((0, 3), (3, 20), (20, 40))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    others = pictures.copy()
    others[[0, 1, 3]] = 255 - others[[0, 1, 3]]
    np.testing.assert_array_equal(corrupt(others, name, 5)[4:], whole[4:])
    monkeypatch.setattr(corruptions, "_THREADS", 1)
    np.testing.assert_array_equal(corrupt(pictures, name, 5), whole)


@pytest.mark.parametrize("name", ["gaussian_noise", "motion_blur", "snow", "frost", "elastic_transform"])
def test_the_seed_draws_what_is_random(name, pictures):
    assert (corrupt(pictures, name, 3, seed=1) != corrupt(pictures, name, 3)).any()
    same = np.repeat(pictures[:1], 2, axis=0)
    first, second = corrupt(same, name, 3)
    assert (first != second).any()


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("size", [(8, 8), (24, 40), (128, 128)])
def test_other_sizes_and_extreme_pictures_are_fine(name, size):
    images = np.zeros((3, *size, 3), np.uint8)
    images[1] = 255
    images[2] = np.random.default_rng(0).integers(0, 256, (*size, 3))
    for severity in (1, 5):
        assert corrupt(images, name, severity).shape == images.shape
    assert distance(corrupt(images, name, 5)[2], images[2]) > 0.1


@pytest.mark.parametrize(
    "name", ["gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur", "elastic_transform"]
)
def test_large_pictures_suffer_as_much_as_small_ones(name, pictures):
    """What is counted in pixels grows with the picture: shrunk again, both look alike."""
    large = pictures[:6].repeat(4, axis=1).repeat(4, axis=2)
    changed = corrupt(large, name, 5).reshape(6, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    far = distance(corrupt(pictures[:6], name, 5), pictures[:6])
    assert 0.5 * far < distance(changed, pictures[:6]) < 2 * far


def test_no_pictures_give_no_pictures():
    assert corrupt(np.zeros((0, 32, 32, 3), np.uint8), "fog", 1).shape == (0, 32, 32, 3)


def test_mistakes_are_named(pictures):
    with pytest.raises(UsageError, match="Did you mean 'gaussian_noise'"):
        corrupt(pictures, "gausian_noise", 1)
    for severity in (0, 6):
        with pytest.raises(UsageError, match=f"1 to 5. Received: severity={severity}"):
            corrupt(pictures, "fog", severity)
    with pytest.raises(UsageError, match="seed=-1"):
        corrupt(pictures, "fog", 1, seed=-1)
    for wrong in (pictures.astype(float), pictures[0], pictures[..., :1], pictures[:, :7]):
        with pytest.raises(DataError, match="sides of 8 or more"):
            corrupt(wrong, "fog", 1)
