"""A learning curve of digits, measured once."""

import dataclasses

import pytest

from tenfold import learningcurve
from tenfold.recipes import recipe

SHARES = (0.05, 0.4, 1.0)


@pytest.fixture(scope="session")
def settings():
    quick = {"data": "digits", "epochs": 1, "batch_size": 32, "precision": "float32", "val_split": 0.2}
    return dataclasses.replace(recipe("tiny"), **quick)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("curve")


@pytest.fixture(scope="session")
def curve(settings, runs):
    return learningcurve.learning_curve(settings, shares=SHARES, runs=runs)
