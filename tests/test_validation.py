"""Validation: what a run learns about itself from pictures it was not trained on."""

import numpy as np
import pytest

import digits_run
from tenfold import abstention
from tenfold.abstention import familiarity
from tenfold.calibration import calibrator
from tenfold.errors import DataError
from tenfold.validation import sure_enough, validate


@pytest.fixture
def digits():
    return digits_run.digits()


def observe(digits, sharp=4.0):
    """The nearest-centroid classifier, `sharp` times too sure, with the pixels as features."""

    def look(images):
        powers = digits.predict(images).astype(float) ** sharp
        return powers / powers.sum(axis=1, keepdims=True), images.reshape(len(images), -1).astype(np.float32)

    return look


def test_probabilities_are_mended_and_answers_stay(tmp_path, digits):
    run = digits_run.build(tmp_path)
    found = validate(run, observe(digits), digits.validation, top_k=(2,))
    raw, features = observe(digits)(digits.validation.images)
    told = run.calibration
    assert told["after"]["negative_log_likelihood"] < told["before"]["negative_log_likelihood"]
    assert (found.predicted == raw.argmax(axis=1)).all()
    np.testing.assert_allclose(found.probabilities, calibrator(told)(raw), atol=1e-6)
    assert found.quality.calibration_error == pytest.approx(told["after"]["calibration_error"])
    assert list(found.top_k) == [2]
    known = familiarity(told)
    assert (known(features) < known.least).mean() == pytest.approx(abstention.STRANGE, abs=0.01)


def test_a_model_without_features_is_calibrated_all_the_same(tmp_path, digits):
    run = digits_run.build(tmp_path)
    validate(run, lambda images: (digits.predict(images), None), digits.validation)
    assert run.calibration["temperature"] > 0
    assert familiarity(run.calibration) is None


def test_the_threshold_comes_from_the_kept_answers(tmp_path, digits):
    run = digits_run.build(tmp_path)
    found = sure_enough(run, 0.05)
    kept = run.predictions("validation")
    given = kept["probabilities"].max(axis=1) >= found.confidence
    assert found.coverage == given.mean()
    assert (kept["predicted"] != kept["labels"])[given].mean() == pytest.approx(found.error)
    with pytest.raises(DataError, match="--split validation"):
        sure_enough(digits_run.build(tmp_path / "none", validation=False), 0.05)
