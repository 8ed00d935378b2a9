"""Robustness: plain predict_fns that bear some changes and not others, and a real classifier of digits."""

import json

import numpy as np
import pytest

from tenfold import robustness as module
from tenfold.corruptions import CANONICAL, CORRUPTIONS, SEVERITIES, corrupt
from tenfold.datasets import digits
from tenfold.datasets.dataset import Dataset
from tenfold.errors import DataError, UsageError
from tenfold.evaluation import wilson
from tenfold.robustness import robustness, sentence

DARK = 90


def accuracies(curve):
    return dict(zip(curve.at, (score.accuracy for score in curve.scores), strict=True))


def by_mean(images):
    """Class 1 for pictures that are bright in the mean."""
    bright = images.reshape(len(images), -1).mean(axis=1) > DARK
    return np.stack([~bright, bright], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def dim():
    """60 patterns, dark or less so, all of them too dark for `by_mean` once there is more light."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = rng.integers(0, 2, (60, 32, 32, 3)) * 20 + (70 + 20 * labels)[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, ("dark", "light"), tuple(map(str, range(60))))


def test_light_misleads_who_looks_at_the_mean_and_pixels_do_not(dim):
    found = robustness(by_mean, dim, corruptions=["brightness", "pixelate"], curves=False)
    assert found.clean.accuracy == 1
    assert found.means["pixelate"] == 1
    assert [score.accuracy for score in found.corruptions["brightness"]][1:] == [0.5] * 4
    assert found.corruptions["brightness"][4].interval == wilson(30, 60)
    assert found.mean == pytest.approx((1 + found.means["brightness"]) / 2)
    assert found.relative_drop == pytest.approx(1 - found.mean)
    assert found.canonical_mean is None
    assert found.curves == {}


def test_the_literature_s_mean_is_over_its_fifteen(dim):
    small = Dataset(dim.images[:, :8, :8], dim.labels, dim.class_names, dim.ids)
    found = robustness(by_mean, small, curves=False, limit=10)
    assert set(found.corruptions) == set(CORRUPTIONS)
    assert found.severities == SEVERITIES
    assert found.canonical_mean == pytest.approx(np.mean([found.means[name] for name in CANONICAL]))
    assert found.mean == pytest.approx(np.mean(list(found.means.values())))
    assert found.pictures == 10


def test_curves_show_what_a_change_of_place_costs():
    """A predict_fn that looks for a bright left half bears a small shift, no large one, and no turn."""
    images = np.zeros((200, 32, 32, 3), np.uint8)
    images[::2, :, :16] = 200
    images[1::2, :, 16:] = 200
    data = Dataset(images, np.arange(200) % 2, ("left", "right"), tuple(map(str, range(200))))

    def middle(images):
        left = images[:, 16, 12, 0] > 100
        return np.stack([left, ~left], axis=1).astype(np.float32)

    found = robustness(middle, data, corruptions=["contrast"], severities=[1])
    shift = found.curves["shift"]
    assert shift.unit == "pixels of 32"
    right = accuracies(shift)
    assert right[0] == right[3] == 1
    assert right[8] == pytest.approx(0.75, abs=0.1)  # only those that move one way of four cross the point
    turned = accuracies(found.curves["rotation"])
    assert turned[0] == turned[10] == turned[-10] == 1
    scaled = found.curves["scale"]
    assert scaled.scores[scaled.at.index(1.0)] is found.clean
    assert found.to_dict()["curves"]["scale"]["at"] == list(module.FACTORS)


def test_amounts_of_a_shift_grow_with_the_picture(dim):
    small = Dataset(dim.images[:, :8, :8], dim.labels, dim.class_names, dim.ids)
    curve = robustness(by_mean, small, corruptions=["fog"], severities=[1]).curves["shift"]
    assert curve.at == tuple(pixels / 4 for pixels in module.SHIFTS)
    assert curve.unit == "pixels of 8"


def test_parts_give_what_the_whole_gives(dim, monkeypatch):
    def noisy(images):
        share = (images[:, 5, 7, 0] % 16 / 15)[:, None]  # hangs on a single pixel
        return np.concatenate([share, 1 - share], axis=1).astype(np.float32)

    arguments = {"corruptions": ["gaussian_noise"], "severities": [4], "seed": 3}
    whole = robustness(noisy, dim, **arguments)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 25 * 32 * 32 * 3)
    assert robustness(noisy, dim, **arguments) == whole
    assert robustness(noisy, dim, **{**arguments, "seed": 4}) != whole


def test_the_model_sees_what_corrupt_gives(dim):
    seen = []

    def spy(images):
        seen.append(images)
        return by_mean(images)

    robustness(spy, dim, corruptions=["snow"], severities=[2], curves=False, seed=5)
    np.testing.assert_array_equal(seen[0], dim.images)
    np.testing.assert_array_equal(seen[1], corrupt(dim.images, "snow", 2, seed=5))


def test_a_limit_draws_pictures_from_all_over(dim):
    seen = []

    def spy(images):
        seen.append(images)
        return by_mean(images)

    robustness(spy, dim, corruptions=["fog"], severities=[1], curves=False, limit=20)
    rows = [int(np.flatnonzero((dim.images == image).all(axis=(1, 2, 3)))[0]) for image in seen[0]]
    assert rows == sorted(set(rows))
    assert max(rows) > 40


def test_progress_counts_to_the_end(dim):
    told = []
    robustness(by_mean, dim, severities=[5], limit=4, progress=lambda done, total: told.append((done, total)))
    total = 1 + len(CORRUPTIONS) + len(module.SHIFTS) + len(module.ANGLES) + len(module.FACTORS) - 3
    assert told == [(done, total) for done in range(1, total + 1)]


def test_to_dict_is_json_with_all_there_is_to_show(dim):
    found = robustness(by_mean, dim, corruptions=["fog", "saturate"], severities=[5, 1], seed=2)
    kept = json.loads(json.dumps(found.to_dict()))
    assert set(kept) == {
        "pictures", "seed", "interval_level", "accuracy", "accuracy_interval", "mean", "canonical_mean",
        "relative_drop", "severities", "corruptions", "curves",
    }  # fmt: skip
    assert kept["severities"] == [1, 5]
    fog = kept["corruptions"]["fog"]
    assert (fog["group"], fog["canonical"]) == ("weather", True)
    assert len(fog["accuracy"]) == len(fog["accuracy_interval"]) == 2
    assert fog["mean"] == pytest.approx(np.mean(fog["accuracy"]))
    assert not kept["corruptions"]["saturate"]["canonical"]
    assert set(kept["curves"]) == {"shift", "rotation", "scale"}
    assert kept["canonical_mean"] is None
    assert str(found) == sentence(kept)


def test_the_headline_says_what_is_left_and_what_is_worst(dim):
    found = robustness(by_mean, dim, corruptions=["brightness"], severities=[5], curves=False)
    assert str(found) == (
        "100.0 % right on clean pictures, 50.0 % in the mean over 1 corruption at 1 strength, "
        "50.0 % less; worst: brightness, 50.0 %"
    )


def test_a_real_classifier_of_digits_bears_jpeg_better_than_noise():
    from sklearn.neighbors import KNeighborsClassifier

    source = digits.find()
    train, held = source.read("train"), source.read("validation")

    def flat(images):
        return images.reshape(len(images), -1) / 255

    model = KNeighborsClassifier(3).fit(flat(train.images), train.labels)
    found = robustness(lambda images: model.predict_proba(flat(images)), held, severities=[3], limit=100)
    assert found.clean.accuracy > 0.9
    assert found.means["jpeg_compression"] > found.means["impulse_noise"]
    assert 0 < found.relative_drop < 1
    assert found.curves["shift"].scores[-1].accuracy < found.clean.accuracy - 0.2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"corruptions": ["fogg"]}, "Did you mean 'fog'"),
        ({"corruptions": []}, "at least one corruption"),
        ({"severities": [0]}, r"Received: severities=\(0,\)"),
        ({"severities": []}, r"Received: severities=\(\)"),
        ({"limit": 0}, "limit=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_mistakes_are_named_before_any_work(dim, arguments, words):
    with pytest.raises(UsageError, match=words):
        robustness(lambda images: pytest.fail("asked the model"), dim, **arguments)


def test_bad_answers_and_bad_pictures_are_told(dim):
    with pytest.raises(UsageError, match="Logits need a softmax"):
        robustness(lambda images: np.ones((len(images), 2)), dim)
    with pytest.raises(DataError, match="no pictures"):
        robustness(by_mean, dim.subset(np.arange(0)))
    tiny = Dataset(dim.images[:, :4, :4], dim.labels, dim.class_names, dim.ids)
    with pytest.raises(DataError, match="sides of 8 or more"):
        robustness(by_mean, tiny)
