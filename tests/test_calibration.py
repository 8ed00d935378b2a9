"""Calibration: temperatures that are known, curves by their formula, answers that stay."""

import json

import numpy as np
import pytest
from sklearn import metrics

from tenfold.calibration import PLAIN, Calibrator, calibrator, fit, scaled
from tenfold.errors import DataError, UsageError
from tenfold.reliability import quality


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(temperature, n=20000, classes=6, seed=0):
    """Probabilities of a model whose logits are `temperature` times too large, and labels by true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    truth = softmax(logits)
    labels = (truth.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return softmax(logits * temperature), labels


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(true):
    probabilities, labels = drawn(true)
    found = fit(probabilities, labels)
    assert found.calibrator.temperature == pytest.approx(true, rel=0.05)
    assert found.after.calibration_error < 0.012
    assert found.after.negative_log_likelihood <= found.before.negative_log_likelihood + 1e-9
    assert found.pictures == len(labels)


def test_no_other_temperature_makes_the_labels_likelier():
    probabilities, labels = drawn(1.7, n=3000)
    best = fit(probabilities, labels).calibrator.temperature
    losses = {t: metrics.log_loss(labels, scaled(probabilities, t)) for t in (best / 1.1, best, best * 1.1)}
    assert min(losses, key=losses.get) == best


def test_scaling_probabilities_is_scaling_logits():
    logits = np.random.default_rng(1).normal(0, 3, (50, 4))
    np.testing.assert_allclose(scaled(softmax(logits), 2.0), softmax(logits / 2), atol=1e-6)
    assert (scaled(softmax(logits), 1) == softmax(logits).astype(np.float32)).all()
    with pytest.raises(UsageError, match="temperature=0"):
        scaled(softmax(logits), 0)


class TestCurve:
    """What temperature cannot mend: answers of middling confidence that are right less often than that."""

    @pytest.fixture
    def bent(self):
        """Two kinds of pictures, both with confidence that no temperature makes right together."""
        rng = np.random.default_rng(2)
        confidence = np.concatenate([rng.uniform(0.5, 0.8, 6000), rng.uniform(0.93, 0.97, 6000)])
        right = rng.random(12000) < np.concatenate([np.full(6000, 0.45), np.full(6000, 0.99)])
        rest = rng.dirichlet(np.ones(4), 12000) * (1 - confidence)[:, None]
        return np.column_stack([confidence, rest]), np.where(right, 0, 1 + rng.integers(0, 4, 12000))

    def test_it_goes_where_a_temperature_does_not_reach(self, bent):
        found = fit(*bent)
        alone = quality(scaled(bent[0], found.calibrator.temperature), bent[1]).calibration_error
        assert found.calibrator.curve is not None
        assert found.after.calibration_error < 0.6 * alone

    def test_it_is_left_out_where_it_gains_nothing(self):
        probabilities, labels = drawn(1.0, n=400, seed=5)
        assert fit(probabilities, labels).calibrator.curve is None

    def test_no_answer_changes_and_rows_stay_probabilities(self, bent):
        rng = np.random.default_rng(3)
        for sharp in (0.05, 1.0, 30.0):
            rows = rng.dirichlet(np.full(10, 1 / sharp), 2000).astype(np.float32)
            for curve in ((-1.1, 1.3), (-6.0, 0.2), (5.0, 3.0), (0.0, 1.0)):
                mended = Calibrator(0.7, curve)(rows)
                assert (mended.argmax(axis=1) == scaled(rows, 0.7).argmax(axis=1)).all()
                np.testing.assert_allclose(mended.sum(axis=1), 1, atol=1e-5)
                assert mended.min() >= 0

    def test_the_confidence_is_what_the_formula_says(self):
        row = np.array([[0.6, 0.3, 0.1]])
        top = 1 / (1 + np.exp(-(0.5 - 1.2 * np.log(0.4))))
        expected = [top, (1 - top) * 0.75, (1 - top) * 0.25]
        np.testing.assert_allclose(Calibrator(1.0, (0.5, 1.2))(row)[0], expected, atol=1e-6)


def test_a_calibrator_comes_back_from_json():
    for one in (PLAIN, Calibrator(0.5), Calibrator(2.0, (-1.0, 1.5))):
        assert calibrator(json.loads(json.dumps(one.to_dict()))) == one
        assert calibrator(json.loads(str(one))) == one
    assert calibrator(None) is PLAIN
    rows = np.array([[0.25, 0.75]])
    assert (PLAIN(rows) == rows).all()


def test_the_record_of_a_run_is_json_with_before_and_after():
    probabilities, labels = drawn(2.0, n=500)
    told = json.loads(json.dumps(fit(probabilities, labels).to_dict()))
    assert told["before"]["calibration_error"] > told["after"]["calibration_error"]
    assert sum(told["after"]["reliability"]["count"]) == told["pictures"] == 500
    assert calibrator(told).temperature == told["temperature"]


def test_without_pictures_there_is_nothing_to_fit():
    with pytest.raises(DataError, match="validation split"):
        fit(np.empty((0, 3)), np.empty(0, int))


def test_all_right_and_all_wrong_end_at_a_finite_temperature():
    rows = np.tile([0.7, 0.3], (20, 1))
    for labels in (np.zeros(20, int), np.ones(20, int)):
        mended = fit(rows, labels).calibrator(rows)
        assert np.isfinite(mended).all()
