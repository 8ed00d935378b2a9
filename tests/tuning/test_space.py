"""What is searched: the marks beside the settings, laid around the values to start from."""

import dataclasses

import pytest

from tenfold.config import Augmentation, Config
from tenfold.config.spaces import Range
from tenfold.errors import UsageError
from tenfold.recipes import RECIPES, recipe
from tenfold.tuning import space


def test_numbers_are_tried_around_what_the_recipe_has():
    found = space.find(recipe("tiny"))
    assert found["learning_rate"] == space.Dimension(0.001, Range(0.0001, 0.01, log=True))
    assert found["batch_size"].choices == Range(32, 512, log=True)
    assert found["model_options.filters"] == space.Dimension(12, Range(12, 32, log=True))
    assert found["augmentation.flip"].start == "none"
    assert str(found["schedule"]) == "constant, linear, cosine"
    assert {"seed", "epochs", "val_split", "data"}.isdisjoint(found)


def test_what_to_start_from_is_always_among_the_choices():
    odd = Config(
        batch_size=7, augmentation=Augmentation(crop=3), model_options={"stem": 200}, optimizer="adamw"
    )
    found = space.find(odd)
    assert found["batch_size"].choices == Range(7, 512, log=True)
    assert found["augmentation.crop"].choices == (0, 2, 3, 4)
    assert found["model_options.stem"].choices == Range(32, 200, log=True)
    assert found["optimizer"].choices == ("adamw", "rmsprop")


def test_optimizers_of_one_kind_share_a_range_of_rates():
    assert space.find(recipe("tiny"))["optimizer"].choices == ("adam", "rmsprop")
    assert "momentum" not in space.find(recipe("tiny"))
    assert space.find(recipe("fast"))["optimizer"].choices == ("sgd", "muon")
    assert space.find(recipe("fast"))["momentum"] == space.Dimension(0.6, Range(0.5, 0.98))


def test_a_run_by_the_clock_sizes_its_own_network():
    timed = dataclasses.replace(recipe("fast"), time=60)
    assert "model_options.stem" in space.find(timed)
    assert "model_options.width" not in space.find(timed)
    assert "model_options.width" in space.find(dataclasses.replace(timed, model_options={"width": 0.5}))
    assert "model_options.width" in space.find(recipe("fast"))


def test_a_search_is_narrowed_by_names_as_the_command_line_has_them():
    assert list(space.find(recipe("tiny"), ["flip", "batch-size"])) == ["batch_size", "augmentation.flip"]
    kept = space.find(recipe("tiny"), keep=["units", "augmentation.flip", "learning_rate"])
    assert {"model_options.units", "augmentation.flip", "learning_rate"}.isdisjoint(kept)
    assert "batch_size" in kept
    assert list(space.find(recipe("tiny"), ["flip"], keep=["flip"])) == ["augmentation.flip"]


@pytest.mark.parametrize("names", [{"search": ["lerning_rate"]}, {"keep": ["lerning_rate"]}])
def test_an_unknown_name_is_answered_with_the_nearest(names):
    with pytest.raises(UsageError, match="Did you mean 'learning_rate'"):
        space.find(recipe("tiny"), **names)


def test_nothing_to_search_is_refused():
    with pytest.raises(UsageError, match="Nothing is left to search"):
        space.find(recipe("tiny"), keep=list(space.find(recipe("tiny"))))


def test_values_land_where_they_belong():
    start = recipe("tiny")
    changed = space.apply(start, {"batch_size": 64, "augmentation.crop": 2, "model_options.units": 256})
    assert (changed.batch_size, changed.augmentation.crop) == (64, 2)
    assert changed.model_options == {"units": 256}
    assert dataclasses.replace(changed, batch_size=32, augmentation=Augmentation(), model_options={}) == start


@pytest.mark.parametrize("name", RECIPES)
def test_every_corner_of_a_recipes_space_is_a_valid_setting(name):
    start = recipe(name)
    for setting, dimension in space.find(start).items():
        choices = dimension.choices
        ends = (choices.low, choices.high) if isinstance(choices, Range) else choices
        for value in (dimension.start, *ends):
            space.apply(start, {setting: value})


def test_optuna_is_given_the_same_bounds():
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    found = space.distributions(space.find(recipe("tiny")))
    assert (found["batch_size"].low, found["batch_size"].high, found["batch_size"].log) == (32, 512, True)
    assert type(found["batch_size"]).__name__ == "IntDistribution"
    assert type(found["warmup"]).__name__ == "FloatDistribution"
    assert found["optimizer"].choices == ("adam", "rmsprop")
