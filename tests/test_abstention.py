"""Abstention: thresholds by hand, and pictures that are like none of the known ones."""

import json

import numpy as np
import pytest

from tenfold import abstention
from tenfold.abstention import answered, coverage, familiarity, fit_familiarity, threshold
from tenfold.errors import GateError, UsageError


def sure(*confidences):
    """Probabilities of two classes, the first the likelier."""
    return np.array([[c, 1 - c] for c in confidences])


class TestThreshold:
    def test_by_hand(self):
        # From the surest on: right, right, wrong, right, wrong.
        rows, labels = sure(0.99, 0.95, 0.9, 0.8, 0.6), np.array([0, 0, 1, 0, 1])
        for wanted, confidence, error, share in (
            (0.1, 0.95, 0, 2),
            (0.25, 0.8, 0.25, 4),
            (0.3, 0.8, 0.25, 4),
        ):
            found = threshold(rows, labels, wanted)
            assert found.confidence == pytest.approx(confidence)
            assert found.error == pytest.approx(error)
            assert found.coverage == pytest.approx(share / 5)

    def test_where_all_may_be_answered_nothing_is_withheld(self):
        found = threshold(sure(0.9, 0.6), np.array([0, 1]), 0.5)
        assert (found.confidence, found.coverage, found.error) == (0.0, 1.0, 0.5)

    def test_equal_confidences_are_answered_together_or_not_at_all(self):
        rows, labels = sure(0.9, 0.8, 0.8, 0.8), np.array([0, 0, 1, 1])
        assert threshold(rows, labels, 0.4).coverage == 0.25
        assert threshold(rows[::-1], labels[::-1], 0.4).coverage == 0.25

    def test_it_does_to_other_pictures_what_it_did_to_these(self):
        rng = np.random.default_rng(0)
        confidence = rng.uniform(0.5, 1, 20000)
        rows, labels = sure(*confidence), (rng.random(20000) > confidence).astype(int)
        found = threshold(rows[:10000], labels[:10000], 0.1)
        told = answered(rows[10000:], labels[10000:], found)
        assert told["error"] == pytest.approx(0.1, abs=0.015)
        assert told["coverage"] == pytest.approx(found.coverage, abs=0.02)
        assert json.loads(json.dumps(found.to_dict()))["max_error"] == 0.1

    def test_strange_pictures_get_no_answer(self):
        rows, labels = sure(0.9, 0.9, 0.6), np.array([0, 1, 0])
        found = threshold(sure(0.9, 0.7), np.array([0, 1]), 0.1)
        assert answered(rows, labels, found)["coverage"] == pytest.approx(2 / 3)
        told = answered(rows, labels, found, strange=np.array([False, True, False]))
        assert (told["coverage"], told["error"]) == (pytest.approx(1 / 3), 0.0)
        assert answered(rows, labels, found, strange=np.ones(3, bool))["error"] == 0.0

    def test_the_impossible_and_the_senseless_are_told(self):
        with pytest.raises(GateError, match="larger --max-error"):
            threshold(sure(0.9, 0.8), np.array([1, 0]), 0.02)
        for wanted in (0, 1, 2, -0.1):
            with pytest.raises(UsageError, match=f"max_error={wanted}"):
                threshold(sure(0.9), np.array([0]), wanted)
        with pytest.raises(UsageError, match="no pictures"):
            threshold(np.empty((0, 2)), np.empty(0, int), 0.1)


class TestCoverage:
    def test_the_curve_ends_at_the_error_of_all(self):
        rows, labels = sure(0.99, 0.95, 0.9, 0.8), np.array([0, 0, 1, 1])
        found = coverage(rows, labels, points=4)
        assert found.coverage == (0.25, 0.5, 0.75, 1.0)
        assert found.error == pytest.approx((0, 0, 1 / 3, 0.5))
        assert found.confidence == pytest.approx((0.99, 0.95, 0.9, 0.8))
        assert found.area == pytest.approx((1 / 3 + 0.5) / 4)

    def test_few_pictures_make_few_points(self):
        assert coverage(sure(0.9, 0.8), np.array([0, 0])).coverage == (0.5, 1.0)
        assert coverage(sure(0.9), np.array([0])).area == 0.0
        assert len(coverage(sure(*np.linspace(0.6, 0.9, 5000)), np.zeros(5000, int)).error) == 101


class TestFamiliarity:
    @pytest.fixture
    def features(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 600)
        return 5 * np.eye(3, 8)[labels] + rng.normal(0, 0.3, (600, 8)), labels

    def test_what_looks_like_no_class_is_strange(self, features):
        known = fit_familiarity(*features, 3)
        others = np.random.default_rng(1).normal(0, 5, (200, 8))
        assert (known(features[0]) < known.least).mean() == pytest.approx(abstention.STRANGE, abs=0.005)
        assert (known(others) < known.least).mean() > 0.9

    def test_only_the_direction_counts(self, features):
        known = fit_familiarity(*features, 3)
        np.testing.assert_allclose(known(features[0]), known(7 * features[0]), rtol=1e-5)
        assert known(np.zeros((1, 8)))[0] == 0

    def test_a_class_without_pictures_is_like_nothing(self, features):
        known = fit_familiarity(*features, 4)
        assert not known.centres[3].any()
        assert np.isfinite(known(features[0])).all()

    def test_it_comes_back_from_a_record(self, features):
        known = fit_familiarity(*features, 3)
        again = familiarity(json.loads(json.dumps({"familiarity": known.to_dict()})))
        np.testing.assert_allclose(again(features[0]), known(features[0]), atol=1e-5)
        assert again.least == known.least
        assert familiarity(None) is None
        assert familiarity({"familiarity": None}) is None


def test_a_doubt_says_why_an_answer_is_withheld():
    assert abstention.doubt(0.4, -1.0, None, 0.5) == ""  # nobody asked for a threshold
    assert abstention.doubt(0.9, 0.6, 0.8, 0.5) == ""
    assert abstention.doubt(0.7, 0.6, 0.8, 0.5) == "less than 80.0% sure"
    assert abstention.doubt(0.99, 0.4, 0.8, 0.5) == "unlike the pictures the model knows"
    assert abstention.doubt(0.99, None, 0.8, 0.5) == abstention.doubt(0.99, 0.4, 0.8, None) == ""
