"""Parts of a learning curve: as many steps for each, and how long they will take."""

import dataclasses
import re

import pytest

from tenfold import learningcurve
from tenfold.config import Config
from tenfold.errors import UsageError


def test_each_share_gets_as_many_steps():
    parts = learningcurve.parts(Config(epochs=10, patience=2), seeds=2)
    assert [part.config.fraction for part in parts[::2]] == list(learningcurve.SHARES)
    assert [part.config.epochs for part in parts[::2]] == [100, 40, 20, 10]
    assert [part.config.patience for part in parts[::2]] == [20, 8, 4, 2]
    assert [part.config.seed for part in parts] == [0, 1] * 4
    assert parts[0].path.parts[-2:] == ("curve-fast", "10-s0")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"shares": (0.5, 1.0)}, "three different shares or more"),
        ({"shares": (0.0, 0.5, 1.0)}, "shares=0, 0.5, 1"),
        ({"seeds": 0}, "seeds=0"),
        ({"name": "a/b"}, "name=a/b"),
    ],
)
def test_what_makes_no_curve_is_refused(words, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        learningcurve.parts(Config(), **words)


def test_without_validation_there_is_nothing_to_measure():
    with pytest.raises(UsageError, match="--val-split above 0"):
        learningcurve.parts(Config(val_split=0))


def test_by_the_clock_each_has_the_same_time(settings):
    timed = dataclasses.replace(settings, time=60.0)
    parts = learningcurve.parts(timed, shares=(0.2, 0.5, 1.0))
    assert learningcurve.expected(parts) == 180
    assert learningcurve.expected([]) == 0
