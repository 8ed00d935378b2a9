"""Cross-validated probabilities: every picture is answered for by a model that did not see it."""

import dataclasses

import numpy as np
import pytest

from tenfold import datasets
from tenfold.config import Augmentation
from tenfold.doctor import crossing
from tenfold.recipes import recipe


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(np.arange(300))


def test_folds_are_even_in_every_class():
    labels = np.repeat([0, 1, 2], [20, 10, 3])
    folds = list(crossing.parts(labels, 5, seed=0))
    assert sorted(np.concatenate([unseen for _, unseen in folds])) == list(range(33))
    for seen, unseen in folds:
        assert not set(seen) & set(unseen)
        assert np.bincount(labels[unseen])[:2].tolist() == [4, 2]


def test_the_quick_model_knows_most_digits(digits):
    found = crossing.quick(digits, folds=3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found.argmax(axis=1) == digits.labels).mean() > 0.8
    assert (crossing.quick(digits, folds=3) == found).all()


def test_a_class_that_nobody_has_gets_no_share(digits):
    wider = dataclasses.replace(digits, class_names=(*digits.class_names, "emu"))
    assert (crossing.quick(wider, folds=2)[:, -1] == 0).all()


def test_networks_answer_for_what_they_have_not_seen(digits):
    settings = dataclasses.replace(
        recipe("tiny"), epochs=4, batch_size=16, augmentation=Augmentation(), precision="float32"
    )
    said = []
    found = crossing.trained(digits, settings, folds=2, listen=said.append)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
    assert (found.argmax(axis=1) == digits.labels).mean() > 0.5
    assert [sentence.split(":")[0] for sentence in said] == ["Fold 1 of 2", "Fold 2 of 2"]
