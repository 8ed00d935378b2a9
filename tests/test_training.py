"""Training: from settings to a run folder whose every file says what happened."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import tenfold
from quick import QUICK, Interrupt
from tenfold import evaluation, models, runs, splits, training
from tenfold.calibration import calibrator
from tenfold.config import Augmentation
from tenfold.errors import GateError, Stopped, UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return training.train(QUICK, runs=tmp_path_factory.mktemp("runs"), command="tenfold train digits")


def test_it_learns_and_leaves_every_file(run):
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *("config.yaml", "command.txt", "environment.json", "data.json", "splits.json", "summary.json"),
        *("model.keras", "history.csv", "events.jsonl", "validation.json", "predictions.parquet"),
        *("calibration.json", "gallery", "state"),
    }
    assert run.scores("validation")["accuracy"] > 0.9
    assert run.command == "tenfold train digits"
    assert run.data["class_names"] == [str(digit) for digit in range(10)]
    assert run.data["counts"] == {"train": 1294, "validation": 144}
    assert run.environment["backend"] == keras.backend.backend()
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert run.summary["epochs"] == 3
    events = [json.loads(line)["event"] for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert events == ["started", "finished"]


def test_the_kept_model_gives_the_scores_that_were_kept(run):
    held = splits.open_split(run, "validation")
    predict = models.predict_fn(models.load(run.model_path), calibrator=calibrator(run.calibration))
    found = evaluation.evaluate(predict, held, split="validation")
    assert found.accuracy == run.scores("validation")["accuracy"]
    np.testing.assert_allclose(found.loss, run.scores("validation")["loss"], atol=1e-5)


def test_the_settings_of_the_run_train_the_same_model_again(run, tmp_path):
    again = training.train(run.config, runs=tmp_path)
    ours, theirs = (models.load(one.model_path).get_weights() for one in (run, again))
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))


def test_all_pictures_are_trained_on_and_the_run_says_so(tmp_path):
    said = []
    settings = dataclasses.replace(QUICK, val_split=0, epochs=1, patience=2)
    run = training.train(settings, runs=tmp_path, listen=said.append)
    assert run.scores("validation") is None
    assert run.summary["monitor"] == "last"
    assert any("No validation split" in words for words in said if isinstance(words, str))


def test_early_stopping_ends_the_run_and_the_best_epoch_is_kept(tmp_path):
    settings = dataclasses.replace(QUICK, epochs=30, patience=1, learning_rate=0.02, monitor="val_loss")
    run = training.train(settings, runs=tmp_path)
    losses = [row["val_loss"] for row in run.history]
    assert len(losses) < 30
    assert run.summary["best_epoch"] == 1 + int(np.argmin(losses))
    assert run.scores("validation")["loss"] == pytest.approx(min(losses), rel=1e-3)


def test_the_fast_recipe_learns_digits_in_one_epoch_of_small_steps(tmp_path):
    settings = dataclasses.replace(
        tenfold.recipe("fast"),
        data="digits",
        epochs=1,
        batch_size=64,
        model_options={"width": 0.25},
        augmentation=Augmentation(crop=2),
    )
    assert training.train(settings, runs=tmp_path).scores("validation")["accuracy"] > 0.85


def test_a_loss_that_explodes_ends_with_advice_and_no_run_folder(tmp_path):
    settings = dataclasses.replace(QUICK, optimizer="sgd", learning_rate=1e30, epochs=2)
    with pytest.raises(GateError, match="--learning-rate"):
        training.train(settings, runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_wrong_model_leaves_no_run_folder(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'tiny'"):
        training.train(dataclasses.replace(QUICK, model="tinny"), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_keeps_the_best_epoch_so_far(tmp_path):
    with pytest.raises(Stopped, match="tenfold resume") as caught:
        training.train(QUICK, runs=tmp_path, extra_callbacks=[Interrupt(2)])
    assert caught.value.exit_code == 130
    assert models.load(tmp_path / "quick" / "model.keras").count_params() == 394_970
    with pytest.raises(Stopped, match="nothing was kept"):
        training.train(QUICK, runs=tmp_path, name="none", extra_callbacks=[Interrupt(0)])
    assert not (tmp_path / "none").exists()


DEMANDING = dataclasses.replace(
    QUICK,
    recipe="demanding",
    model="augmented",
    model_options={"width": 4},
    epochs=4,
    augmentation=Augmentation(flip="random", rotation=10, shift=0.1),
)


def same(one, other):
    ours, theirs = (models.load(run.model_path).get_weights() for run in (one, other))
    return all((a == b).all() for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        DEMANDING,
        dataclasses.replace(DEMANDING, optimizer="muon", momentum=0.6, schedule="linear", warmup=0.1),
        dataclasses.replace(DEMANDING, val_split=0, precision="mixed_bfloat16", label_smoothing=0.1),
    ],
    ids=["dropout-and-adam", "muon-and-schedule", "no-validation-bfloat16"],
)
def test_a_resumed_run_ends_where_the_unbroken_one_ends(settings, tmp_path):
    whole = training.train(settings, runs=tmp_path, name="whole")
    with pytest.raises(Stopped):
        training.train(settings, runs=tmp_path, name="cut", extra_callbacks=[Interrupt(1)])
    with pytest.raises(Stopped):
        training.resume(tmp_path / "cut", extra_callbacks=[Interrupt(3)])
    cut = training.resume(tmp_path / "cut")
    assert same(whole, cut)
    assert cut.scores("validation") == whole.scores("validation")
    columns = ("epoch", "loss", "accuracy", "learning_rate")
    assert [[row[c] for c in columns] for row in cut.history] == [
        [row[c] for c in columns] for row in whole.history
    ]
    with pytest.raises(UsageError, match="has finished"):
        training.resume(cut)


def test_a_resumed_run_still_stops_early(tmp_path):
    settings = dataclasses.replace(QUICK, epochs=30, patience=2, learning_rate=0.02, monitor="val_loss")
    whole = training.train(settings, runs=tmp_path, name="whole")
    with pytest.raises(Stopped):
        training.train(settings, runs=tmp_path, name="cut", extra_callbacks=[Interrupt(2)])
    cut = training.resume(tmp_path / "cut")
    assert len(cut.history) == len(whole.history) < 30
    assert same(whole, cut)


def test_a_run_killed_at_any_moment_is_resumed_to_the_same_end(tmp_path):
    words = ["digits", "--recipe", "tiny", "--epochs", "12", "--runs", str(tmp_path)]
    command = [sys.executable, "-m", "tenfold"]
    process = subprocess.Popen([*command, "train", *words, "--name", "cut"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not (tmp_path / "cut/state/epoch.npz").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.7)
    process.kill()
    process.wait(30)
    assert not (tmp_path / "cut/summary.json").exists()
    for last in (["resume", str(tmp_path / "cut")], ["train", *words, "--name", "whole"]):
        assert subprocess.run([*command, *last, "--quiet"], stdout=subprocess.DEVNULL).returncode == 0
    assert same(*(runs.open_run(tmp_path / name) for name in ("cut", "whole")))


def test_a_run_without_a_whole_epoch_cannot_be_resumed(tmp_path):
    run = training.train(dataclasses.replace(QUICK, epochs=1), runs=tmp_path)
    (run.path / "summary.json").unlink()
    (run.path / "state/epoch.npz").unlink()
    with pytest.raises(UsageError, match="Train it anew"):
        training.resume(run)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_request_to_end_keeps_the_best_epoch_so_far(tmp_path):
    command = [sys.executable, "-m", "tenfold", "train", "digits", "--recipe", "tiny", "--epochs", "500"]
    with subprocess.Popen([*command, "--runs", str(tmp_path)], stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 90
            while not (tmp_path / "tiny" / "model.keras").exists():
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 143
        finally:
            process.kill()
    assert models.load(tmp_path / "tiny" / "model.keras").count_params() == 394_970


def test_cifar_is_learnt_better_than_chance_in_one_short_epoch(cifar_data, tmp_path):
    settings = dataclasses.replace(tenfold.recipe("tiny"), data=str(cifar_data), epochs=1, val_split=0.2)
    run = training.train(settings, runs=tmp_path)
    assert run.scores("validation")["accuracy"] > 0.4
    assert run.data["counts"] == {"train": 40_000, "validation": 10_000}
