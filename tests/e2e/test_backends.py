"""A run saved under torch opens under the other backends and gives the same probabilities."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from networks import SMALL, architectures
from tenfold import models

PREDICT = """
import sys
import numpy as np
import keras
model = keras.models.load_model(sys.argv[1])
images = np.load(sys.argv[2])
assert keras.backend.backend() == sys.argv[4]
np.save(sys.argv[3], model.predict(images, verbose=0))
"""


def child(words, backend, **more):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **more}
    return subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(params=["tensorflow", "jax"])
def other(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.mark.parametrize("name", architectures())
def test_the_same_probabilities_under_another_backend(name, other, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    small = SMALL.get(name)
    model = models.build(
        name, (32, 32, 3), 10, data_format="channels_first", precision="mixed_bfloat16", options=small
    )
    models.prepare(model, images)
    loss = keras.losses.SparseCategoricalCrossentropy(models.returns_logits(model))
    model.compile("adam", loss)
    model.train_on_batch(images, np.arange(64) % 10)  # moves the weights and the norms' averages
    kept = models.twin(model, name, data_format="channels_last", options=small)
    kept.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    paths = [str(tmp_path / file) for file in ("model.keras", "images.npy", "outputs.npy")]
    done = child(["-c", PREDICT, *paths, other], other)
    assert done.returncode == 0, done.stderr
    ours, theirs = kept.predict(images, verbose=0), np.load(paths[2])
    if models.returns_logits(kept):
        ours, theirs = (np.exp(o) / np.exp(o).sum(axis=1, keepdims=True) for o in (ours, theirs))
    assert np.abs(ours - theirs).max() < 1e-4


def test_a_classic_trains_under_another_backend_and_is_used_under_torch(other, tmp_path):
    words = ["-m", "tenfold", "train", "digits", "--recipe", "tiny", "--epochs", "2", "--runs", str(tmp_path)]
    done = child([*words, "--backend", other], "torch")
    assert done.returncode == 0, done.stderr
    done = child(["-m", "tenfold", "evaluate", str(tmp_path / "tiny"), "--json"], "torch")
    assert done.returncode == 0, done.stderr
    assert '"accuracy"' in done.stdout
