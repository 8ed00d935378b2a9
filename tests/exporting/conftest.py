"""A run trained on the digits."""

import dataclasses

import pytest

from tenfold.recipes import recipe
from tenfold.training import train


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Half a second of training on the digits: a run as `train` leaves it."""
    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=1, precision="float32")
    return train(settings, runs=tmp_path_factory.mktemp("runs"))
