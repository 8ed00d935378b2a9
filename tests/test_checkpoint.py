"""Checkpoints: a state that does not fit is refused; what fits is brought back whole."""

import keras
import numpy as np
import pytest

from tenfold import callbacks, checkpoint, runs
from tenfold.errors import DataError, UsageError


def compiled(units=4):
    inputs = keras.Input((3,))
    x = keras.layers.Dropout(0.5, seed=1)(keras.layers.Dense(units)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile("adam", "mse")
    return model


@pytest.fixture
def keeper(tmp_path):
    best = callbacks.Best("last", keep=lambda model: None)
    return checkpoint.Checkpoint(runs.create(tmp_path, "run"), {"best": best})


def test_training_goes_on_as_if_nothing_had_happened(keeper):
    data = np.random.default_rng(0).normal(size=(8, 3)), np.ones((8, 2))
    model = compiled()
    for _ in range(3):
        model.train_on_batch(*data)
    for callback in (keeper.others["best"], keeper):
        callback.set_model(model)
        callback.on_epoch_end(2, {})
    fresh = compiled()
    best = callbacks.Best("last", keep=lambda model: None)
    assert checkpoint.Checkpoint(keeper.run, {"best": best}).restore(fresh, epochs=9) == 3
    assert best.epoch == 3
    assert len(best.weights) == len(model.weights)
    assert model.train_on_batch(*data) == fresh.train_on_batch(*data)
    assert all((a == b).all() for a, b in zip(model.get_weights(), fresh.get_weights(), strict=True))


def test_a_run_that_stopped_early_is_done(keeper):
    model = compiled()
    model.optimizer.build(model.trainable_variables)
    model.stop_training = True
    for callback in (keeper.others["best"], keeper):
        callback.set_model(model)
        callback.on_epoch_end(4, {})
    assert keeper.restore(compiled(), epochs=9) == 9


def test_what_does_not_fit_is_refused(keeper):
    with pytest.raises(UsageError, match="before its first epoch"):
        keeper.restore(compiled(), epochs=9)
    model = compiled()
    model.optimizer.build(model.trainable_variables)
    keeper.set_model(model)
    keeper.on_epoch_end(0, {})
    with pytest.raises(DataError, match="another model"):
        keeper.restore(compiled(units=5), epochs=9)
