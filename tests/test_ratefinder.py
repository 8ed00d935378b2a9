"""The learning-rate finder: where the loss falls, and a command that uses it."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tenfold import cli
from tenfold.config import Config
from tenfold.errors import GateError, UsageError
from tenfold.ratefinder import chart, find_rate, judged
from tenfold.recipes import recipe
from tenfold.reporting.plots import png

DIGITS = dataclasses.replace(recipe("tiny"), data="digits", batch_size=64)
RATES = np.geomspace(1e-6, 10, 100)


def losses(noise=0.02):
    """Flat to 1e-4, falling to 0.1, rising after."""
    place = np.log10(RATES)
    fall = np.clip((place + 4) / 3, 0, 1)
    rise = np.clip(place + 0.5, 0, None) ** 2
    return 2.3 - 1.8 * fall + rise + noise * np.random.default_rng(0).normal(size=100)


def test_the_largest_rate_at_which_the_loss_still_falls_is_suggested():
    found = judged(RATES, losses(), diverged=None, own=0.001)
    assert found.suggested == pytest.approx(0.06, rel=0.4)
    low, high = found.falling
    assert 5e-5 < low < 1e-3
    assert found.suggested == high
    assert low <= found.steepest <= high
    assert 0.05 < found.lowest < 0.5
    assert len(found.smoothed) == 100
    assert abs(np.diff(found.smoothed)).max() < abs(np.diff(found.losses)).max()


@pytest.mark.parametrize(
    "values",
    [2.3 + 0.02 * np.random.default_rng(1).normal(size=100), np.linspace(2, 5, 100), np.array([])],
    ids=["noise", "rising", "none"],
)
def test_a_loss_that_does_not_fall_suggests_nothing(values):
    with pytest.raises(GateError, match="fell at none"):
        judged(RATES[: len(values)], values, diverged=0.1, own=0.001)


def test_a_real_model_learns_at_the_rate_and_diverges_beyond():
    found = find_rate(DIGITS, steps=60)
    assert 1e-4 < found.suggested < 1e-2
    assert 1e-5 < found.steepest <= found.suggested
    assert found.own == 0.001
    again = find_rate(DIGITS, steps=60)
    assert (again.losses == found.losses).all()
    assert again.suggested == found.suggested
    text = png(chart(found))
    assert text.startswith(b"\x89PNG")


def test_divergence_ends_the_search():
    wild = dataclasses.replace(DIGITS, optimizer="sgd", momentum=0.9)
    done = []
    found = find_rate(wild, highest=1e6, steps=60, progress=lambda step, total: done.append((step, total)))
    assert found.diverged is not None
    assert len(found.rates) < 60
    assert done[-1] == (len(found.rates), 60)
    assert math.isfinite(found.losses.max())


@pytest.mark.parametrize("words", [{"lowest": 0}, {"lowest": 2, "highest": 1}, {"steps": 5}])
def test_what_makes_no_sense_is_refused(words):
    with pytest.raises(UsageError, match="Received"):
        find_rate(Config(data="digits", model="tiny"), **words)


def test_the_command_draws_and_says_how_to_use_the_rate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["lr", "digits", "--recipe=tiny", "batch=64", "--lr", "0.5", "--steps", "30", "--lowest=1e-5"]
    assert cli.main([*words, "--highest", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Suggested learning rate" in shown
    assert "The settings have 0.5." in shown
    following = next(line for line in shown.splitlines() if line.startswith("Next:"))
    assert "tenfold train digits --recipe=tiny batch=64 --learning-rate 0.0" in following
    assert (tmp_path / "runs" / "lr-tiny.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main([*words, "--json", "--output", "here.png"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["next"].startswith("tenfold train digits")
    assert "--json" not in told["next"]
    assert len(told["rates"]) == len(told["losses"])
    assert (tmp_path / "here.png").exists()
