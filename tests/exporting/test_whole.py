"""The model that holds all that belongs to its answers, and the .keras file made of it."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from networks import BUILDERS, built, pictures, rich
from tenfold import models
from tenfold.calibration import Calibrator
from tenfold.exporting import gate
from tenfold.exporting.content import Content
from tenfold.exporting.whole import keras_file, whole
from tenfold.runtimes import METADATA


def asked(content):
    model = whole(content)
    found = model.predict(content.images, verbose=0)
    return found if isinstance(found, dict) else {"probabilities": found}


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_it_answers_as_the_model_does(name):
    content = Content(built(name), pictures())
    found = asked(content)
    assert set(found) == {"probabilities"}
    np.testing.assert_allclose(
        found["probabilities"], gate.expected(content, pictures()).probabilities, atol=1e-5
    )


@pytest.mark.parametrize("name", ["fast", "tiny"])
def test_calibration_views_familiarity_and_sureness_are_inside(name):
    content = rich(built(name), pictures())
    found, expected = asked(content), gate.expected(content, pictures())
    assert content.outputs == ["probabilities", "familiarity", "sure"]
    assert set(found) == set(content.outputs)
    np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=1e-4)
    np.testing.assert_allclose(found["familiarity"], expected.familiarity, atol=1e-4)
    confident = found["probabilities"].max(axis=1) >= content.sure_from
    np.testing.assert_array_equal(found["sure"], confident & (found["familiarity"] >= content.known.least))
    assert 0 < found["sure"].sum() < len(confident)


@pytest.mark.parametrize("curve", [None, (-1.1, 1.3), (-6.0, 0.2)])
@pytest.mark.parametrize("temperature", [0.6, 2.5])
def test_every_calibration_is_that_of_numpy(temperature, curve):
    content = Content(built("fast"), pictures(), calibrator=Calibrator(temperature, curve))
    expected = gate.expected(content, pictures()).probabilities
    answers = asked(content)["probabilities"]
    np.testing.assert_allclose(answers, expected, atol=1e-4)
    np.testing.assert_array_equal(answers.argmax(axis=1), expected.argmax(axis=1))


def test_training_mode_does_not_leak_whoever_calls_it_and_however():
    model = built("preprocessing")
    before = [weight.copy() for weight in model.get_weights()]
    expected = models.predict_fn(model)(pictures())
    file = whole(Content(model, pictures()))
    for _ in range(2):  # a bare call, as exporters and users make it
        found = keras.ops.convert_to_numpy(file(pictures()))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for weight, known in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, known)


def test_that_trap_is_there():
    model = built("preprocessing")
    expected = model.predict(pictures(), verbose=0)
    assert np.abs(keras.ops.convert_to_numpy(model(pictures())) - expected).max() > 0.1


def test_the_file_opens_in_keras_alone(tmp_path):
    content = rich(built("tiny"), pictures())
    path = tmp_path / "model.keras"
    keras_file(content, path)
    np.save(tmp_path / "pictures.npy", pictures())
    program = f"""
import sys
sys.modules["tenfold"] = None
import keras, numpy as np
model = keras.models.load_model({str(path)!r})
assert model.input.dtype == "uint8", model.input.dtype
found = model.predict(np.load({str(tmp_path / "pictures.npy")!r}), verbose=0)
np.save({str(tmp_path / "found.npy")!r}, found["probabilities"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = gate.expected(content, pictures()).probabilities
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-4)
    told = json.loads(zipfile.ZipFile(path).read(METADATA))
    assert (told["views"], told["calibration"]) == ("flip", str(content.calibrator))


def test_a_curve_that_takes_all_certainty_changes_no_answer():
    content = Content(built("fast"), pictures(200), calibrator=Calibrator(1.0, (-6.0, 0.2)))
    plain = models.predict_fn(content.model)(pictures(200))
    np.testing.assert_array_equal(asked(content)["probabilities"].argmax(axis=1), plain.argmax(axis=1))
