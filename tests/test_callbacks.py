"""Callbacks: the best epoch is the one kept, the listener hears where the run stands."""

import keras
import numpy as np
import pytest

from tenfold import callbacks, runs
from tenfold.errors import GateError


class Model:
    """As much of a model as the callbacks look at: its weights are the number of the epoch."""

    def __init__(self):
        self.epoch = 0
        self.optimizer = keras.optimizers.SGD(0.5)

    def get_weights(self):
        return [np.array(self.epoch)]


def run_epochs(best, values, name):
    kept = []
    best.keep = lambda model: kept.append(model.epoch)
    best.set_model(Model())
    for epoch, value in enumerate(values):
        best.model.epoch = epoch + 1
        best.on_epoch_end(epoch, {name: value} if value is not None else {})
    return kept


@pytest.mark.parametrize(
    ("monitor", "values", "kept"),
    [
        ("val_accuracy", [0.5, 0.7, 0.6, 0.7, 0.8], [1, 2, 5]),
        ("val_loss", [0.5, 0.7, 0.4, 0.6], [1, 3]),
        ("last", [0.5, 0.7, 0.6], [1, 2, 3]),
        ("val_accuracy", [None, None], [1, 2]),
    ],
)
def test_the_best_epoch_is_kept_as_soon_as_it_is_found(monitor, values, kept):
    best = callbacks.Best(monitor, keep=print)
    assert run_epochs(best, values, "val_loss" if monitor == "val_loss" else "val_accuracy") == kept
    assert best.epoch == kept[-1]
    assert best.weights[0] == kept[-1]


@pytest.mark.parametrize(
    ("monitor", "values", "stops_after"),
    [
        ("val_accuracy", [0.5, 0.7, 0.6, 0.6], 4),
        ("val_loss", [0.5, 0.6, 0.7], 3),
        ("last", [0.5, 0.4, 0.4], 3),
    ],
)
def test_patience_ends_the_run_that_no_longer_gets_better(monitor, values, stops_after):
    best = callbacks.Best(monitor, keep=print, patience=2)
    name = "val_loss" if monitor == "val_loss" else "val_accuracy"
    run_epochs(best, values[: stops_after - 1], name)
    assert not hasattr(best.model, "stop_training")
    best.on_epoch_end(stops_after - 1, {name: values[stops_after - 1]})
    assert best.model.stop_training


def test_progress_tells_of_every_epoch_and_writes_the_history(tmp_path):
    run = runs.create(tmp_path, "run")
    heard = []
    best = callbacks.Best("val_accuracy", keep=lambda model: None)
    progress = callbacks.Progress(run, images=100, batch_size=32, best=best, listen=heard.append)
    progress.interval = 0.0
    progress.set_params({"epochs": 2})
    for callback in (best, progress):
        callback.set_model(Model())
        callback.on_train_begin()
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for step in range(4):
            progress.on_train_batch_end(step, {"loss": 1.0 - step / 10})
        for callback in (best, progress):
            callback.on_epoch_end(epoch, {"loss": 0.5, "val_accuracy": 0.6 + epoch / 10})
    within = [moment for moment in heard if not moment.epoch_ended]
    ends = [moment for moment in heard if moment.epoch_ended]
    assert [(m.epoch, m.step, m.steps) for m in within[:4]] == [(1, 1, 4), (1, 2, 4), (1, 3, 4), (1, 4, 4)]
    assert all(m.seconds_left >= 0 and m.images_per_second > 0 for m in within)
    assert [m.best for m in ends] == [0.6, 0.7]
    assert ends[-1].seconds_left == 0
    assert [row["val_accuracy"] for row in run.history] == [0.6, 0.7]
    assert run.history[0]["learning_rate"] == 0.5
    assert progress.images_per_second > 0


def test_an_epoch_that_is_not_due_is_neither_looked_at_nor_kept():
    best = callbacks.Best("val_accuracy", keep=print, due=lambda epoch: epoch != 1)
    assert run_epochs(best, [0.5, None, 0.4], "val_accuracy") == [1]
    assert best.epoch == 1


class Ending:
    """A clock that expects what is done to be all, three seconds before the promised time."""

    epochs, left = 2, 3.0


def test_a_part_of_an_epoch_counts_as_the_pictures_it_saw(tmp_path):
    run = runs.create(tmp_path, "run")
    heard = []
    best = callbacks.Best("val_accuracy", keep=print)
    progress = callbacks.Progress(run, 100, 32, best, heard.append, Ending())
    progress.set_model(Model())
    progress.on_train_begin()
    for epoch, steps in enumerate([4, 2]):
        progress.on_epoch_begin(epoch)
        for step in range(steps):
            progress.on_train_batch_end(step)
        # Only the last one is validated: the history gets its columns then.
        progress.on_epoch_end(epoch, {"loss": 0.5} | ({"val_loss": 0.6} if epoch else {}))
    assert progress.epochs == 1.64
    assert [("val_loss" in row, row["loss"]) for row in run.history] == [(False, 0.5), (True, 0.5)]
    assert heard[-1].seconds_left == 3.0
    assert (heard[-1].epoch, heard[-1].epochs) == (2, 2)
    again = callbacks.Progress(run, 100, 32, best, heard.append)
    again.set_state(*progress.get_state())
    assert again.epochs == 1.64


def test_a_loss_that_is_no_number_ends_the_run_with_advice():
    guard = callbacks.Diverged()
    guard.set_model(Model())
    guard.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(GateError, match=r"epoch 2 is nan. Lower --learning-rate \(it was 0.5"):
        guard.on_epoch_end(1, {"loss": float("nan")})
