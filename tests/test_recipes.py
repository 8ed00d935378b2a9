"""Recipes: found by name, true to the READMEs they come from, described in one line."""

import pytest

from tenfold import recipes
from tenfold.errors import UsageError


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_recipe_is_named_after_itself_and_has_a_model(name):
    from tenfold.models import BUILDERS

    settings = recipes.recipe(name)
    assert settings.recipe == name
    assert settings.model in BUILDERS
    assert settings.data == "cifar10"


@pytest.mark.parametrize(
    ("name", "optimizer", "epochs", "batch_size"),
    [("plain", "rmsprop", 10, 32), ("tiny", "rmsprop", 15, 32), ("compact", "adam", 10, 32)],
)
def test_classics_are_set_as_their_readmes_say(name, optimizer, epochs, batch_size):
    settings = recipes.recipe(name)
    assert (settings.optimizer, settings.epochs, settings.batch_size) == (optimizer, epochs, batch_size)


def test_the_augmented_classic_augments_and_stops_early():
    settings = recipes.recipe("augmented")
    change = settings.augmentation
    assert change.rotation > 0
    assert change.shift > 0
    assert change.flip == "random"
    assert (settings.optimizer, settings.monitor) == ("adam", "val_loss")
    assert settings.patience > 0


def test_each_recipe_has_one_line():
    lines = dict(recipes.describe())
    assert tuple(lines) == recipes.RECIPES
    assert all(line.endswith(".") and len(line) < 110 for line in lines.values())


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'tiny'"):
        recipes.recipe("tyni")
