"""A study on disk: every trial once, in words and as a table, the best as a file that `train` takes."""

import csv

import pytest

from tenfold.cli import settings as lays
from tenfold.errors import DataError, UsageError
from tenfold.tuning import space
from tenfold.tuning.study import database, open_study, read, read_settings, write_settings

optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")

FAIL, PRUNED = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.PRUNED


@pytest.fixture(scope="module")
def study(settings, tmp_path_factory):
    """A study with a trial of every kind, made up."""
    path = tmp_path_factory.mktemp("study")
    with database(path, settings) as opened:
        kinds = space.distributions(settings.space)
        opened.enqueue_trial(
            {name: each.start for name, each in settings.space.items()}, user_attrs={"first": True}
        )
        for accuracy in (0.61, 0.66, 0.66):
            trial = opened.ask(kinds)
            trial.report(accuracy, 4)
            told = {"state": "finished", "seconds": 2.0, "epochs": 4, "interval": [0.6, 0.7]}
            trial.set_user_attr("told", told)
            opened.tell(trial, accuracy)
        for state, told in ((PRUNED, "pruned"), (PRUNED, "cut"), (FAIL, "failed"), (FAIL, None)):
            trial = opened.ask(kinds)
            trial.report(0.5, 1)
            if told:
                trial.set_user_attr("told", {"state": told, "reason": "why", "seconds": 1.0})
            opened.tell(trial, state=state)
        opened.ask(kinds)
        opened.enqueue_trial({"learning_rate": 0.005})
        opened.set_user_attr("seconds", 12.5)
        yield read(path, settings, opened)


def test_every_trial_is_told_in_words(study):
    states = [trial.state for trial in study.trials]
    assert states == ["finished"] * 3 + ["pruned", "cut", "failed", "lost", "running", "waiting"]
    assert study.ended == 6
    assert study.seconds == 12.5
    assert study.first.values["learning_rate"] == 0.001
    assert study.best.number == 1  # the earlier of two that are equally good
    assert study.best.interval == (0.6, 0.7)
    assert study.trials[3].accuracy == 0.5
    assert study.trials[3].epochs == 1
    assert study.trials[8].values == {"learning_rate": 0.005}


def test_the_best_is_written_as_settings_that_train_takes(study):
    study.write()
    expected = study.config(study.best)
    assert lays.base(None, str(study.path / "best.yaml")) == expected
    assert expected.learning_rate == study.best.values["learning_rate"]
    assert expected.model_options["units"] == study.best.values["model_options.units"]


def test_the_table_holds_every_trial_and_its_values(study):
    study.write()
    rows = list(csv.DictReader((study.path / "trials.csv").read_text().splitlines()))
    assert [row["number"] for row in rows] == [str(number) for number in range(9)]
    assert rows[1]["accuracy"] == "0.66"
    assert float(rows[1]["learning_rate"]) == study.trials[1].values["learning_rate"]
    assert rows[5]["reason"] == "why"
    assert rows[8]["schedule"] == ""


def test_what_a_study_does_is_read_back_as_it_was_written(settings, tmp_path):
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings
    assert open_study(tmp_path).trials == ()


def test_what_is_no_study_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is not a study"):
        open_study(tmp_path)
    (tmp_path / "study.yaml").write_text("config: 3")
    with pytest.raises(DataError, match=r"study\.yaml cannot be read"):
        open_study(tmp_path)
