"""A run saved under torch opens under the other backends and gives the same probabilities."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from networks import SMALL
from tenfold import models

PREDICT = """
import sys
from pathlib import Path
import numpy as np
import keras
assert keras.backend.backend() == sys.argv[2]
images = np.load(Path(sys.argv[1], "images.npy"))
for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    model = keras.models.load_model(path)
    np.save(path.with_suffix(".npy"), model.predict(images, verbose=0))
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


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([name for name in models.BUILDERS if name not in SMALL], id="full size"),
        pytest.param(list(SMALL), id="small", marks=pytest.mark.slow),
    ],
)
def test_the_same_probabilities_under_another_backend(names, other, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    kept = {name: moved(name, images) for name in names}
    for name, model in kept.items():
        model.save(tmp_path / f"{name}.keras")
    done = child(["-c", PREDICT, str(tmp_path), other], other)
    assert done.returncode == 0, done.stderr
    apart = {}
    for name, model in kept.items():
        ours, theirs = model.predict(images, verbose=0), np.load(tmp_path / f"{name}.npy")
        if models.returns_logits(model):
            ours, theirs = (np.exp(o) / np.exp(o).sum(axis=1, keepdims=True) for o in (ours, theirs))
        apart[name] = np.abs(ours - theirs).max()
    assert max(apart.values()) < 1e-4, apart


def moved(name, images):
    """The portable form of an architecture after a step, which moves weights and the norms' averages."""
    small = SMALL.get(name)
    model = models.build(
        name, (32, 32, 3), 10, data_format="channels_first", precision="mixed_bfloat16", options=small
    )
    models.prepare(model, images)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(models.returns_logits(model)))
    model.train_on_batch(images, np.arange(64) % 10)
    return models.twin(model, name, data_format="channels_last", options=small)


def test_a_classic_trains_under_another_backend_and_is_used_under_torch(other, tmp_path):
    words = ["-m", "tenfold", "train", "digits", "--recipe", "tiny", "--epochs", "2", "--runs", str(tmp_path)]
    done = child([*words, "--backend", other], "torch")
    assert done.returncode == 0, done.stderr
    done = child(["-m", "tenfold", "evaluate", str(tmp_path / "tiny"), "--json"], "torch")
    assert done.returncode == 0, done.stderr
    assert '"accuracy"' in done.stdout
