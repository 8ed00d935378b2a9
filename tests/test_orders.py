"""What a Python program asks for becomes settings."""

from pathlib import Path

import numpy as np
import pytest

from tenfold import recipes
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset, find
from tenfold.errors import UsageError
from tenfold.orders import order


def test_settings_stay_as_they_are_but_for_the_changes():
    settings = recipes.recipe("tiny")
    assert order(settings, {}).settings == settings
    changed = order(settings, {"epochs": 2, "augmentation": Augmentation(crop=1)}).settings
    assert (changed.epochs, changed.augmentation.crop, changed.model) == (2, 1, "tiny")


def test_data_are_trained_on_by_a_recipe():
    assert order("digits", {}).settings == Config(**{**vars(recipes.recipe("fast")), "data": "digits"})
    found = order(Path("photos"), {"recipe": "tiny", "time": "90s"}).settings
    assert (found.data, found.model, found.time) == ("photos", "tiny", 90)


@pytest.mark.parametrize("model", ["net.py:build", "net.keras", Path("nets") / "net.keras", object()])
def test_a_model_of_ones_own_starts_from_its_own_recipe(model):
    found = order("digits", {"model": model})
    assert found.settings.recipe == "own"
    assert found.settings.own_model
    assert (found.model is model) == (type(model) is object)
    assert order("digits", {"model": None}).settings.recipe == "fast"


def test_pictures_in_memory_can_be_found_while_they_are_asked_for():
    images = np.zeros((4, 8, 8, 3), np.uint8)
    asked = order(Dataset(images, np.arange(4) % 2, ("a", "b"), tuple("0123")), {"epochs": 1})
    assert find(asked.settings.data).read("train").images is images


def test_an_unknown_setting_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'epochs'"):
        order("digits", {"epoch": 3})
