"""What a worker answers to orders, one after the other, without a process around it."""

import dataclasses

import pytest

from tenfold import config, runs
from tenfold.config import Config
from tenfold.tuning.worker import work

QUICK = Config(data="digits", model="tiny", optimizer="adam", epochs=2, batch_size=64, precision="float32")


@pytest.fixture
def told(tmp_path):
    """A function that gives orders and returns all answers."""

    def answers(*orders):
        heard = []
        work(iter([*orders, None]).__next__, heard.append)
        return heard

    def order(name, **changes):
        text = config.to_yaml(dataclasses.replace(QUICK, **changes))
        return {"config": text, "folder": str(tmp_path), "name": name, "command": "tenfold tune"}

    answers.order = order
    return answers


def test_a_trial_is_a_training_that_is_asked_about_after_every_epoch(told, tmp_path):
    on = {"go_on": True}
    found = told(told.order("7"), on, on, told.order("8", seed=0), {"go_on": False})
    notes, first, second, done, other, stopped = found
    assert notes == {"notes": []}
    assert [first["epoch"], second["epoch"]] == [1, 2]
    scores = runs.open_run(tmp_path / "7").scores("validation")
    assert done == {
        "accuracy": scores["accuracy"],
        "interval": list(scores["accuracy_interval"]),
        "epochs": 2,
    }
    assert other == first  # nothing of the first trial is left over in the second
    assert stopped == {"stopped": True}
    assert not (tmp_path / "8" / "summary.json").exists()


def test_a_trial_that_fails_says_why_and_the_next_is_trained(told):
    wild = told.order("1", optimizer="sgd", learning_rate=1e30)
    found = told(wild, told.order("2", model="fats"), told.order("3", epochs=1), {"go_on": True})
    assert [answer.get("error") for answer in found] == [None, "GateError", "UsageError", None, None]
    assert "Training diverged" in found[1]["message"]
    assert "Did you mean 'fast'" in found[2]["message"]
    assert found[-1]["accuracy"] > 0.3


def test_data_that_are_not_there_are_said_to_be_missing(told):
    (answer,) = told(told.order("1", data="nowhere/at/all"))
    assert answer["error"] in ("DataError", "UsageError")
    assert "nowhere/at/all" in answer["message"]
