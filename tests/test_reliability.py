"""The quality of probabilities: scores by hand and by scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from tenfold.reliability import BINS, quality, reliability


def test_by_hand():
    rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.35, 0.65]])
    found = quality(rows, np.array([0, 1, 0, 1]), bins=5)
    # Bins end at 0.8 and 1.0: {0.8 wrong, 0.6 right, 0.65 right} share (0.6, 0.8] but 0.6 is below it.
    assert found.reliability.count == (1, 2, 1)
    assert found.reliability.accuracy == (1.0, 0.5, 1.0)
    assert found.calibration_error == pytest.approx(0.25 * 0.4 + 0.5 * abs(0.725 - 0.5) + 0.25 * 0.1)
    assert found.brier == pytest.approx(np.mean([0.02, 1.28, 0.32, 0.245]))


def test_as_scikit_learn_has_it():
    rng = np.random.default_rng(4)
    rows, labels = rng.dirichlet(np.ones(5), 300), rng.integers(0, 5, 300)
    found = quality(rows, labels)
    assert found.negative_log_likelihood == pytest.approx(metrics.log_loss(labels, rows, labels=range(5)))
    assert found.brier == pytest.approx(
        metrics.brier_score_loss(labels, rows, labels=range(5), scale_by_half=False)
    )


def test_one_who_is_always_right_and_sure_has_no_error():
    found = quality(np.eye(3), np.arange(3))
    assert (found.calibration_error, found.brier) == (0.0, 0.0)
    assert found.negative_log_likelihood == pytest.approx(0.0, abs=1e-9)


def test_a_bin_holds_its_upper_edge():
    assert reliability(np.array([[0.5, 0.5]]), np.array([0]), bins=2).count == (1,)
    assert reliability(np.array([[0.5, 0.5], [1, 0]]), np.array([0, 0]), bins=2).confidence == (0.5, 1.0)


def test_the_usual_number_of_bins():
    assert BINS == 15
