"""TensorBoard: event files that TensorBoard itself reads, and a resumed run that goes on in them."""

import dataclasses
import importlib.util

import keras
import pytest

import quick
from tenfold import training
from tenfold.errors import MissingExtraError, Stopped
from tenfold.tracking import tensorboard

QUICK = dataclasses.replace(quick.QUICK, tensorboard=True)
SCORES = {
    "split": "validation",
    "pictures": 10,
    "accuracy": 0.9,
    "accuracy_interval": [0.6, 0.98],
    "interval_level": 0.95,
    "class_names": ["cat", "a|b"],
    "confusion": [[5, 0], [1, 4]],
}
installed = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="the extra `tensorboard` is not installed"
)


class Interrupt(keras.callbacks.Callback):
    """Stops after the second epoch has been told of, before its state has been used."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run.path / "tensorboard"))
    found.Reload()
    return found


@installed
def test_every_epoch_can_be_read_back_and_a_resumed_run_goes_on(tmp_path):
    with pytest.raises(Stopped):
        training.train(QUICK, runs=tmp_path, extra_callbacks=[Interrupt()])
    run = training.resume(tmp_path / "quick")
    found = read(run)
    for name in ("loss", "val_accuracy", "learning_rate", "images_per_second"):
        told = found.Scalars(name)
        assert [event.step for event in told] == [1, 2, 3]
        history = [row[name] for row in run.history]
        assert [event.value for event in told] == pytest.approx(history, rel=1e-4)
    (final,) = found.Scalars("final/accuracy")
    assert final.value == pytest.approx(run.scores("validation")["accuracy"])
    assert "_hparams_/session_start_info" in found.PluginTagToContent("hparams")
    assert "validation/text_summary" in found.Tags()["tensors"]
    from tensorboard.compat import tf

    assert tf.__version__ == "stub"  # and not TensorFlow, which would take seconds to import


def test_the_confusion_matrix_is_a_table():
    page = tensorboard.page(SCORES)
    assert "90.0 % of 10 validation pictures right" in page
    assert "| cat | 5 | 0 |" in page
    assert "| a\\|b | 1 | 4 |" in page
    many = {**SCORES, "class_names": [str(n) for n in range(30)], "confusion": [[0] * 30] * 30}
    assert "|" not in tensorboard.page(many)


def test_what_is_not_installed_is_said_before_training(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "tensorboard" else found(name, *more)
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'tenfold\[tensorboard\]'"):
        training.train(QUICK, runs=tmp_path)
    assert not list(tmp_path.iterdir())
