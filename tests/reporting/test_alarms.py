"""Alarms: each one rings when it should, and a sound run is left in peace."""

import dataclasses

import pytest

from tenfold.reporting import alarms, facts


@pytest.fixture
def sound(digits_run):
    """Facts of a run with nothing to say against it."""
    known = facts.read(digits_run)
    scores = {split: dict(found) for split, found in known.scores.items()}
    splits = {"splits": {"validation": {"count": 5000}}}
    return dataclasses.replace(known, scores=scores, splits=splits)


def titles(known):
    return [alarm.title for alarm in alarms.find(known)]


def test_a_sound_run_raises_no_alarm(sound):
    assert titles(sound) == []


def test_a_gap_of_more_than_ten_points_is_memorising(sound):
    row = {"epoch": 3.0, "loss": 0.1, "accuracy": 0.884, "val_accuracy": 0.615}
    (alarm,) = alarms.find(dataclasses.replace(sound, history=[row]))
    assert alarm.title == "Memorises"
    assert (
        "88.4 % of the training pictures right, but 61.5 % of the validation pictures: 27 points"
        in alarm.text
    )
    assert titles(dataclasses.replace(sound, history=[{**row, "accuracy": 0.71}])) == []


def test_the_gap_is_taken_at_the_kept_epoch(sound):
    rows = [{"epoch": e, "loss": 0.1, "accuracy": 0.6 + 0.1 * e, "val_accuracy": 0.65} for e in (1, 2, 3)]
    kept_first = dataclasses.replace(sound, history=rows, summary={"best_epoch": 1})
    assert titles(kept_first) == []
    assert titles(dataclasses.replace(kept_first, summary={"best_epoch": 3})) == ["Memorises"]


def test_a_small_validation_split_is_named_with_its_uncertainty(digits_run):
    (alarm,) = alarms.find(facts.read(digits_run))
    assert alarm.title == "Validation is small"
    assert alarm.text.startswith("400 pictures, about 40 for each class. The accuracy is known to about ")


def test_a_class_never_predicted_and_one_without_pictures(sound):
    scores = sound.scores["test"]
    confusion = [[0, 0, 5], [0, 90, 10], [0, 0, 0]]
    scores |= {"confusion": confusion, "class_names": ["<a>", "b", "c"], "accuracy_interval": [0.97, 0.99]}
    known = dataclasses.replace(sound, scores={"test": scores})
    found = {alarm.title: alarm.text for alarm in alarms.find(known)}
    assert "“<a>”" in found["Classes never predicted"]
    assert "hold no “c”" in found["Classes without pictures"]


def test_no_better_than_guessing(sound):
    scores = {**sound.scores["test"], "accuracy_interval": [0.08, 0.12]}
    assert titles(dataclasses.replace(sound, scores={**sound.scores, "test": scores})) == [
        "No better than guessing"
    ]


def test_no_validation(sound):
    row = {"epoch": 1.0, "loss": 0.1, "accuracy": 0.9}
    assert titles(dataclasses.replace(sound, scores={}, history=[row])) == ["No validation"]


def test_repeated_looks_at_the_test_pictures(sound):
    assert titles(dataclasses.replace(sound, looks=[{}, {}, {}])) == ["3 looks at the test pictures"]


def test_an_unfinished_and_a_diverged_run(sound):
    row = {"epoch": 1.0, "loss": float("nan"), "accuracy": 0.1, "val_accuracy": 0.1}
    known = dataclasses.replace(sound, summary={}, history=[row])
    assert titles(known) == ["Not finished", "Diverged"]
    assert "1 of 3 epochs" in alarms.find(known)[0].text
