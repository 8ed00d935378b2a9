"""What a model shows of its inside, under each backend."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from tenfold.explanation import heat_maps
from tenfold.explanation.anatomy import Anatomy

EXPLAIN = """
import sys
import keras
import numpy as np
from tenfold.explanation import heat_maps
assert keras.backend.backend() == sys.argv[3]
model = keras.models.load_model(sys.argv[1])
images = np.load(sys.argv[2])
maps = [heat_maps(model, images, np.arange(3) % 2, method=name) for name in ("layercam", "gradcam")]
np.save(sys.argv[4], maps)
"""


def probabilities(model, images):
    outputs = model.predict(images, verbose=0)
    if np.allclose(outputs.sum(axis=1), 1, atol=1e-4):
        return outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_probabilities_and_features_are_the_models_own(model, corners):
    images, _ = corners
    anatomy = Anatomy(model, images.shape[1:])
    answers, features = anatomy.forward(images)
    np.testing.assert_allclose(answers, probabilities(model, images), atol=1e-5)
    assert features.shape == (40, anatomy.head.kernel.shape[0])
    kernel, bias = anatomy.head.get_weights()
    scores = features @ kernel + bias
    np.testing.assert_array_equal(scores.argmax(axis=1), answers.argmax(axis=1))


def test_maps_are_channels_last_in_both_layouts(models_of_corners, corners):
    images, _ = corners
    for name in ("functional", "channels last"):
        anatomy = Anatomy(models_of_corners[name], images.shape[1:])
        shapes = [item.shape for item in anatomy.maps(images[:2])]
        assert shapes == [(2, 24, 24, 12), (2, 12, 12, 12), (2, 6, 6, 12)]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_another_backend_draws_the_same_maps(backend, models_of_corners, corners, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    images, model = corners[0][:3], models_of_corners["channels last"]
    paths = [str(tmp_path / name) for name in ("model.keras", "images.npy", "maps.npy")]
    model.save(paths[0])
    np.save(paths[1], images)
    done = subprocess.run(
        [sys.executable, "-c", EXPLAIN, *paths[:2], backend, paths[2]],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours = [heat_maps(model, images, np.arange(3) % 2, method=name) for name in ("layercam", "gradcam")]
    np.testing.assert_allclose(np.load(paths[2]), ours, atol=2e-3)
