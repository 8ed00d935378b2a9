"""What a run tells of pictures: features, and answers about its validation pictures."""

import dataclasses

import numpy as np
import pytest

from tenfold import datasets
from tenfold.config import Augmentation
from tenfold.doctor.opinion import features, unseen_answers
from tenfold.errors import DataError
from tenfold.recipes import recipe
from tenfold.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    quick = dataclasses.replace(
        recipe("tiny"), data="digits", epochs=1, augmentation=Augmentation(), precision="float32"
    )
    return train(quick, runs=tmp_path_factory.mktemp("runs"), name="digits")


def test_alike_pictures_have_alike_features(run):
    pictures = datasets.load("digits").images[[0, 0, 1]]
    found = features(run, pictures)
    assert found.shape[0] == 3
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4)
    assert np.abs(found[0] - found[2]).max() > 0.1


def test_answers_are_those_about_the_validation_pictures(run):
    digits = datasets.load("digits")
    rows, shares = unseen_answers(run, digits)
    known = run.predictions("validation")
    assert [digits.ids[row] for row in rows] == known["ids"]
    assert (shares == known["probabilities"]).all()


def test_classes_are_matched_by_name(run):
    digits = datasets.load("digits")
    turned = dataclasses.replace(digits, class_names=(*digits.class_names[::-1], "emu"))
    _, shares = unseen_answers(run, turned)
    assert (shares[:, :10] == run.predictions("validation")["probabilities"][:, ::-1]).all()
    assert (shares[:, 10] == 0).all()
    with pytest.raises(DataError, match="other classes than the data"):
        unseen_answers(run, dataclasses.replace(digits, class_names=tuple("abcdefghij")))


def test_other_pictures_have_no_answers(run):
    digits = datasets.load("digits")
    strange = dataclasses.replace(digits, ids=tuple(f"x{row}" for row in range(len(digits))))
    rows, shares = unseen_answers(run, strange)
    assert (len(rows), shares.shape) == (0, (0, 10))
