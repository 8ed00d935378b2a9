"""Baselines: what they score on the digits, that nothing is chosen by the held pictures, what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from tenfold import baselines, datasets, splits
from tenfold.baselines import baselines as scored
from tenfold.datasets import Dataset
from tenfold.errors import DataError, UsageError
from tenfold.evaluation import wilson


@pytest.fixture(scope="module")
def digits():
    data = datasets.load("digits")
    kept, held = splits.hold_out(data.labels, 0.25, 0)
    return data.subset(kept), data.subset(held)


@pytest.fixture(scope="module")
def found(digits):
    return {one.name: one for one in scored(*digits)}


def flat(data):
    return data.images.reshape(len(data), -1) / 255


def test_the_scores_are_those_of_scikit_learn_on_all_pixels(digits, found):
    train, held = digits
    dummy = DummyClassifier().fit(flat(train), train.labels).score(flat(held), held.labels)
    assert found["commonest class"].accuracy == pytest.approx(dummy)
    plain = {
        "nearest neighbours": KNeighborsClassifier(10),
        "logistic regression": LogisticRegression(max_iter=1000),
    }
    for name, model in plain.items():
        own = model.fit(flat(train), train.labels).score(flat(held), held.labels)
        assert own > 0.9
        assert found[name].accuracy == pytest.approx(own, abs=0.025)


def test_each_tells_interval_time_and_what_it_looked_at(digits, found):
    for one in found.values():
        hits = round(one.accuracy * len(digits[1]))
        assert one.interval == wilson(hits, len(digits[1]))
        assert 0 <= one.seconds < 60
    assert "principal components" in found["logistic regression"].note
    assert "10 nearest" in found["nearest neighbours"].note
    assert json.loads(json.dumps([one.to_dict() for one in found.values()]))[0]["name"] == "commonest class"


def test_the_same_again(digits, found):
    assert [one.accuracy for one in scored(*digits)] == [one.accuracy for one in found.values()]


def test_each_held_picture_is_answered_by_itself(digits, found):
    """None of them learns from the other held pictures."""
    train, held = digits
    half = held.subset(np.arange(0, len(held), 2))
    rest = held.subset(np.arange(1, len(held), 2))
    for one, two, whole in zip(scored(train, half), scored(train, rest), found.values(), strict=True):
        hits = one.accuracy * len(half) + two.accuracy * len(rest)
        assert hits == pytest.approx(whole.accuracy * len(held))


def test_classes_are_matched_by_name(digits, found):
    train, held = digits
    turned = dataclasses.replace(held, labels=9 - held.labels, class_names=held.class_names[::-1])
    assert [one.accuracy for one in scored(train, turned)] == [one.accuracy for one in found.values()]


def test_a_large_set_is_drawn_from(digits, monkeypatch):
    monkeypatch.setattr(baselines, "MOST", 300)
    _, near, linear = scored(*digits)
    assert f"300 of {len(digits[0]):,} training pictures" in near.note
    assert near.accuracy > 0.8
    assert linear.accuracy > 0.8


@pytest.mark.parametrize("size", [(8, 8), (17, 33), (64, 20)])
def test_pictures_of_any_size(size):
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (random.integers(0, 100, (40, *size, 3)) + 100 * labels[:, None, None, None]).astype(np.uint8)
    data = Dataset(images, labels, ("dark", "light"), tuple(map(str, range(40))))
    common, near, linear = scored(data, data)
    assert (common.accuracy, near.accuracy, linear.accuracy) == (0.5, 1.0, 1.0)


def test_what_cannot_be_scored_is_named(digits):
    train, held = digits
    with pytest.raises(DataError, match="held=0"):
        scored(train, held.subset(np.arange(0)))
    with pytest.raises(DataError, match="one class"):
        scored(train.subset(np.flatnonzero(train.labels == 3)), held)
    with pytest.raises(UsageError, match=r"Received: \(16, 16\)"):
        scored(train, dataclasses.replace(held, images=held.images[:, ::2, ::2]))
    with pytest.raises(DataError, match="Received: zero"):
        scored(train, dataclasses.replace(held, class_names=("zero", *held.class_names[1:])))
