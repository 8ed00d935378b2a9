"""Studies planned, started, gone on with; and `tenfold tune`."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time

import pytest

from tenfold import cli, tuning
from tenfold.errors import UsageError
from tenfold.recipes import recipe
from tenfold.tuning import tuner

pytest.importorskip("optuna", reason="needs the extra `tune`")

DIGITS = dataclasses.replace(recipe("tiny"), data="digits", epochs=3, precision="float32")


@pytest.mark.parametrize(
    ("asked", "trials", "span"),
    [
        ({}, 30, None),
        ({"trials": 7}, 7, None),
        ({"time": 60.0}, None, 60.0),
        ({"trials": 7, "time": 60.0}, 7, 60.0),
    ],
)
def test_a_study_has_an_end(asked, trials, span):
    plan = tuning.plan(DIGITS, **asked)
    assert (plan.trials, plan.time) == (trials, span)
    assert 1 <= plan.workers <= 4
    assert tuning.plan(DIGITS, workers=1).threads >= plan.threads


@pytest.mark.parametrize("number", ["trials", "time", "workers"])
def test_numbers_must_be_above_nothing(number):
    with pytest.raises(UsageError, match=rf"Received: {number}=0"):
        tuning.plan(DIGITS, **{number: 0})


def test_tuning_needs_validation_pictures():
    with pytest.raises(UsageError, match="Received: val_split=0"):
        tuning.plan(dataclasses.replace(DIGITS, val_split=0.0))


def test_a_finished_study_says_how_to_search_further(story):
    with pytest.raises(UsageError, match=r"has finished: 4 trials\. .* --trials 34"):
        tuning.resume(story.study.path)


def test_two_processes_do_not_work_on_one_study(story):
    with tuner._alone(story.study.path), pytest.raises(UsageError, match="Another process works on"):
        tuning.resume(story.study.path, trials=6)


def test_it_draws_how_the_trials_went(story):
    assert (story.study.path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (story.study.path / "history.svg").read_bytes()


def test_a_dry_run_lists_what_is_searched(capsys):
    words = ["tune", "digits", "--recipe", "tiny", "--dry-run", "--time", "10m", "--workers", "1"]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert re.search(r"learning_rate +0\.001 +0\.0001 to 0\.01", shown)
    assert "Searching" in shown
    assert "10:00" in shown


def test_what_is_given_is_not_searched(capsys):
    words = ["digits", "--recipe", "tiny", "--batch-size", "32", "--lr=0.01", "--set", "augmentation.crop=1"]
    assert (
        cli.main(["tune", *words, "--fix", "warmup", "--model-options", "units=64", "--dry-run", "--json"])
        == 0
    )
    plan = json.loads(capsys.readouterr().out)
    assert {"batch_size", "learning_rate", "augmentation.crop", "warmup", "model_options.units"}.isdisjoint(
        plan["space"]
    )
    assert "schedule" in plan["space"]
    assert plan["config"]["learning_rate"] == 0.01
    assert plan["config"]["time"] is None


def test_a_level_of_augmentation_stays_as_it_is(capsys):
    assert cli.main(["tune", "digits", "--recipe", "tiny", "--augment", "light", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"]["augmentation"]["crop"] == 2
    assert not any(name.startswith("augmentation.") for name in plan["space"])
    assert cli.main(["tune", "--resume", "runs/none", "--augment", "light"]) == 2
    assert "Received: light" in capsys.readouterr().err


def test_a_study_that_goes_on_keeps_its_settings(story, capsys):
    assert cli.main(["tune", "--resume", str(story.study.path), "--optimizer", "adam"]) == 2
    assert "Received: optimizer" in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_by_the_clock_ends_in_time_and_its_best_can_be_trained_again(tmp_path):
    """The whole of it, as a user does it; one thread, so that the second training repeats the first."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def tenfold(*words):
        command = [sys.executable, "-m", "tenfold", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    began = time.monotonic()
    shown = tenfold("tune", "digits", "--recipe", "tiny", "--epochs", "3", "--time", "90s", "--workers", "2")
    assert time.monotonic() - began < 91
    study = tuning.open_study(tmp_path / "runs/tune-tiny")
    assert f"Best:   trial {study.best.number}" in shown
    assert len(study.finished) > 1
    again = json.loads(tenfold("train", "--config", "runs/tune-tiny/best.yaml", "--json").splitlines()[-1])
    assert again["validation"]["accuracy"] == study.best.accuracy


@pytest.mark.slow
def test_settings_that_cannot_be_trained_end_the_study_at_once(tmp_path):
    plan = tuning.plan(dataclasses.replace(DIGITS, model_options={"filtres": 3}), workers=1)
    with pytest.raises(UsageError, match="Did you mean 'filters'"):
        tuning.tune(plan, runs=tmp_path)
    assert list(tmp_path.iterdir()) == []
