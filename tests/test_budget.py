"""Budget: whatever the machine does, the rate is down at 0 when the promised time ends, and training too."""

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import tenfold
from tenfold import budget, models, runs, training
from tenfold.budget import Budget
from tenfold.config import Config
from tenfold.errors import Stopped, UsageError

SETTINGS = Config(
    time=100, batch_size=10, learning_rate=2.0, schedule="linear", warmup=0.1, precision="float32"
)


class Model:
    """As much of a model as a budget touches."""

    def __init__(self):
        self.optimizer = keras.optimizers.SGD(0.5)
        self.stop_training = False


class Machine:
    """Plays Keras' `fit` with a clock of its own: `step` tells the seconds of a step from the time."""

    def __init__(
        self, step, *, settings=SETTINGS, pictures=1000, held=0, ending=0.0, starting=0.0, check=0.0
    ):
        self.now, self.step, self.check, self.held = starting, step, check, held
        self.rates, self.progress = [], []
        self.budget = Budget(settings, pictures, held, started=0.0, ending=ending, clock=lambda: self.now)
        self.budget.set_model(Model())

    def train(self, epochs=10**6, first=0):
        self.budget.model.stop_training = False
        self.budget.on_train_begin()
        for epoch in range(first, first + epochs):
            self.budget.on_epoch_begin(epoch)
            for batch in range(self.budget.epoch_steps):
                self.budget.on_train_batch_begin(batch)
                self.rates.append(float(self.budget.model.optimizer.learning_rate))
                self.now += self.step(self.now)
                self.budget.on_train_batch_end(batch)
                self.progress.append(self.budget.progress)
                if self.budget.model.stop_training:
                    break
            if self.budget.due(epoch):
                self.budget.on_test_begin()
                self.now += self.check
                self.budget.on_test_end()
            if self.budget.model.stop_training:
                return self
        return self


def first_slow(seconds):
    """The first step takes ten times as long as the others, as it does where kernels are prepared."""
    return lambda now: 10 * seconds if now < seconds else seconds


def steady(now):
    return 0.5


def twice_as_slow_midway(now):
    return 0.25 if now < 50 else 0.5


def stopped_for_a_while(now):
    return 20.0 if 30 <= now < 30.5 else 0.5


def restless(now):
    return 0.5 + 0.3 * np.sin(now * 7)


@pytest.mark.parametrize(
    "step", [steady, first_slow(0.5), twice_as_slow_midway, stopped_for_a_while, restless]
)
@pytest.mark.parametrize("held", [0, 100], ids=["all-trained-on", "validated"])
def test_whatever_the_machine_does_the_rate_is_annealed_at_the_promised_time(step, held):
    played = Machine(step, held=held, check=1.5 if held else 0).train()
    rates, progress = np.array(played.rates), np.array(played.progress)
    assert 95 < played.now <= 100
    assert progress[-1] == 1
    assert played.budget.model.optimizer.learning_rate == 0
    assert rates.max() > 1.9
    assert rates[-1] < 0.05
    falling = rates[rates.argmax() :]
    assert (np.diff(falling) < 1e-6).all()
    assert np.diff(progress).min() >= 0
    assert np.diff(progress).max() < 0.05, "the schedule is refitted, not cut"
    assert played.budget.steps == played.budget.done == len(rates)


def test_a_steady_machine_follows_the_schedule_of_as_many_steps():
    played = Machine(steady).train()
    steps = len(played.rates)
    known = tenfold.optimizers.Annealed(2.0, steps, 0.1, "linear")
    expected = [float(known(step)) for step in range(steps)]
    # At most one step of the climb behind, as the first step told nothing about the speed.
    np.testing.assert_allclose(played.rates[1:], expected[1:], atol=0.11)
    np.testing.assert_allclose(played.rates[25:], expected[25:], atol=0.03)


def test_what_comes_after_training_is_set_aside():
    played = Machine(steady, ending=20, starting=10, held=100, check=1.5).train()
    last_step = played.now - 1.5
    assert 76 <= last_step <= 76.5  # 20 after the run, a pass and the kept model's scoring, 0.5 for saving
    assert played.budget.left == pytest.approx(100 - played.now)


def test_expectations_are_right_from_the_second_step_on():
    played = Machine(steady)
    seen = []
    played.step = lambda now: seen.append((played.budget.steps, played.budget.epochs)) or 0.5
    played.train()
    assert seen[1][0] is None
    assert all(steps == pytest.approx(len(seen), rel=0.02) for steps, _ in seen[2:])
    assert {epochs for _, epochs in seen[2:]} == {2}


def test_epochs_are_validated_while_that_is_cheap_and_the_last_always():
    cheap = Machine(lambda now: 0.01, held=100, check=0.1).train().budget
    assert len(cheap.checks) > 20
    assert 0.03 < len(cheap.checks) * 0.1 / 100 < 0.06
    dear = Machine(lambda now: 0.1, held=5000, check=10).train()
    assert len(dear.budget.checks) == 1
    assert dear.now <= 100
    assert dear.budget.due(dear.budget.checks[0] - 1)


def test_too_little_time_is_refused_before_training_with_what_would_do():
    with pytest.raises(UsageError, match=r"12 s went into starting.*Expected --time 19s or more.*time=10"):
        Machine(steady, settings=Config(time=10, precision="float32"), starting=12, ending=4).train()


def test_time_for_less_than_a_step_still_gives_one():
    played = Machine(lambda now: 500.0).train()
    assert len(played.rates) == 1
    assert played.rates[0] > 0
    assert played.budget.progress == 1


def test_a_resumed_budget_goes_on_with_the_time_that_was_left():
    first = Machine(steady).train(epochs=1)
    facts, arrays = first.budget.get_state()
    second = Machine(steady, starting=1000.0)
    second.budget.set_state(facts, arrays)
    second.train(first=1)
    assert first.now + second.now - 1000 == pytest.approx(100, abs=1)
    joined = [*first.progress, *second.progress]
    assert joined[-1] == 1
    assert 0 <= np.diff(joined).max() < 0.05
    assert second.rates[0] == pytest.approx(first.rates[-1], abs=0.05)


QUICK = Config(
    recipe="quick",
    data="digits",
    model="tiny",
    optimizer="adam",
    learning_rate=0.002,
    schedule="cosine",
    batch_size=64,
    precision="float32",
)


def test_a_run_by_the_clock_learns_and_tells_what_it_did(tmp_path):
    heard = []
    settings = Config(**{**vars(QUICK), "time": "6s"})
    began = time.perf_counter()
    run = training.train(settings, runs=tmp_path, listen=heard.append)
    assert time.perf_counter() - began < 7
    assert run.scores("validation")["accuracy"] > 0.9
    assert run.history[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)
    assert "val_accuracy" in run.history[-1]
    assert run.summary["time"] == 6
    assert 3 < run.summary["time_used"] < 7
    assert 0 <= len(run.history) - run.summary["epochs"] < 1
    moments = [moment for moment in heard if isinstance(moment, tenfold.callbacks.Moment)]
    assert moments[-1].epoch == moments[-1].epochs == len(run.history)
    assert run.config.time == 6


class Interrupt(keras.callbacks.Callback):
    """Ends the run once there is something to go on from."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def on_epoch_begin(self, epoch, logs=None):
        if self.state.exists():
            raise KeyboardInterrupt


def test_an_interrupted_run_by_the_clock_is_taken_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_CHECKS", 0.5)  # else nothing is saved within the first ten seconds
    settings = Config(**{**vars(QUICK), "time": 8, "val_split": 0})
    with pytest.raises(Stopped, match="tenfold resume"):
        training.train(
            settings, runs=tmp_path, extra_callbacks=[Interrupt(tmp_path / "quick/state/epoch.npz")]
        )
    run = training.resume(tmp_path / "quick")
    assert run.history[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)
    assert 6 < run.summary["time_used"] < 10
    assert models.load(run.model_path).count_params() == 394_970


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_the_whole_command_ends_in_time_although_it_was_held_up(tmp_path):
    words = [
        "digits",
        "--recipe",
        "tiny",
        "--set",
        "schedule=linear",
        "--time",
        "25s",
        "--runs",
        str(tmp_path),
    ]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tenfold", "train", *words], stdout=subprocess.PIPE)
    while not (tmp_path / "tiny" / "events.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2)  # into the training
    process.send_signal(signal.SIGSTOP)
    time.sleep(6)
    process.send_signal(signal.SIGCONT)
    said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0
    assert time.perf_counter() - began < 29  # it would be 31 had the schedule not been refitted
    run = runs.open_run(tmp_path / "tiny")
    assert run.history[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)
    assert f"Trained {run.summary['epochs']:.1f} epochs in 0:2" in said
    assert "of 0:25." in said
    assert (run.path / "report.html").exists()
