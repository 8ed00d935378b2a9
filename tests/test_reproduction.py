"""Reproduction: the same run again, from its folder or its card, and what is said where it is another."""

import dataclasses
import json

import numpy as np
import pytest

from tenfold import records, reproduction, runs
from tenfold.cli import main
from tenfold.errors import DataError
from tenfold.recipes import recipe
from tenfold.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=1, precision="float32")
    return train(settings, runs=tmp_path_factory.mktemp("runs"), name="first")


@pytest.fixture(scope="module")
def first(run):
    return records.record(run)


def write_card(record, folder):
    path = folder / "model_card.md"
    path.write_text(f"```yaml\n{record.to_yaml()}```\n")
    return path


def test_a_run_comes_out_the_same(run, capsys):
    assert main(["reproduce", str(run.path), "--quiet"]) == 0
    again = runs.open_run(run.path.parent / "first-again")
    told = "first-again reproduces first bit for bit: all weights are the same."
    assert capsys.readouterr().out.splitlines()[-1] == told
    kept = json.loads((again.path / "reproduction.json").read_text())
    assert (kept["same_weights"], kept["reproduced"]) == (True, True)
    assert kept["pictures"] == run.splits["splits"]["validation"]["count"]
    assert again.command == f"tenfold reproduce {run.path} --quiet"


def test_a_card_alone_is_enough_and_another_model_is_noticed(first, tmp_path, capsys):
    """The card says that the other half of the pictures was answered right."""
    card = write_card(dataclasses.replace(first, right=~first.right, weights="another"), tmp_path)
    words = ["reproduce", str(card), "--runs", str(tmp_path), "--name", "second", "--json"]
    assert main(words) == 5
    shown = capsys.readouterr()
    result = json.loads(shown.out.splitlines()[-1])
    assert (result["event"], result["reproduced"], result["first"]) == ("reproduction", False, "first")
    assert "second does not reproduce first. Expected: a score no more than chance apart." in shown.err
    assert (tmp_path / "second" / "model.keras").exists()


def test_other_data_are_told_before_anything_is_trained(first, tmp_path):
    other = {**first.splits, "train": {**first.splits["train"], "sha256": "0" * 64}}
    with pytest.raises(DataError, match=r"train pictures of digits are not those of first.*--data"):
        reproduction.reproduce(dataclasses.replace(first, splits=other), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_data_in_another_place_are_taken_from_there(first, tmp_path, capsys):
    card = write_card(first, tmp_path)
    words = ["reproduce", str(card), "--runs", str(tmp_path), "--data", str(tmp_path / "gone")]
    assert main(words) == 3
    assert "gone does not exist" in capsys.readouterr().err


def compared(first, run, wrong):
    """As if the first run had answered `wrong` more pictures wrongly than the second, with other weights."""
    right = records.record(run).right.copy()
    right[np.flatnonzero(right)[:wrong]] = False
    return reproduction.compare(dataclasses.replace(first, weights="other", right=right), run)


def test_a_score_within_chance_reproduces(first, run):
    found = compared(first, run, 3)
    assert found.reproduced
    assert (found.only_first, found.only_second) == (0, 3)
    assert found.accuracy == pytest.approx(3 / found.pictures)
    assert "other weights, but no more than chance apart, +" in str(found)
    assert f"same {found.pictures:,} validation pictures" in str(found)


def test_a_score_beyond_chance_does_not(first, run):
    found = compared(first, run, 20)
    assert not found.reproduced
    assert found.p_value < 0.001
    assert str(found).startswith("first does not reproduce first.")


def test_without_validation_only_the_weights_can_tell(first, run):
    blind = dataclasses.replace(first, right=None)
    assert reproduction.compare(blind, run).reproduced
    found = reproduction.compare(dataclasses.replace(blind, weights="other"), run)
    assert not found.reproduced
    assert "cannot be told" in str(found)


def test_what_is_other_than_it_was_is_told(first):
    threads = first.environment["threads"]
    assert reproduction.differences(first, threads) == []
    old = {**first.environment, "keras": "3.0.0", "processor": "an abacus"}
    clocked = dataclasses.replace(first.config, time="5m")
    software, hardware, clock = reproduction.differences(
        dataclasses.replace(first, environment=old, config=clocked), threads + 1
    )
    assert software.endswith("was 3.0.0.")
    assert f"was an abacus; threads {threads + 1}, was {threads}" in hardware
    assert "trained by the clock" in clock
