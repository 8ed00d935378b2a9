"""Augmentation in one text: levels by name, settings on top, and back to text."""

import pytest

from tenfold.cli import options, train
from tenfold.config import Augmentation, Config, levels
from tenfold.errors import UsageError
from tenfold.recipes import recipe


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("none", Augmentation()),
        ("light", levels.LEVELS["light"]),
        ("mixup=0.2", Augmentation(flip="alternate", crop=2, mixup=0.2)),
        ("none, flip=both ,crop=4", Augmentation(flip="both", crop=4)),
        ("strong,cutmix=0,randaugment=3", Augmentation("random", 4, randaugment=3, erasing=0.25)),
    ],
)
def test_levels_replace_and_settings_add(text, wanted):
    found = levels.augment(recipe("fast"), text)
    assert found.augmentation == wanted
    assert found.learning_rate == recipe("fast").learning_rate


def test_it_is_known_which_settings_a_text_decides():
    assert levels.settled("crop=4, mixup=0.2") == {"crop", "mixup"}
    assert levels.settled("light,crop=4") == set(vars(Augmentation()))


@pytest.mark.parametrize(
    "settings", [Augmentation(), *levels.LEVELS.values(), recipe("augmented").augmentation]
)
def test_settings_can_be_spelled_and_read_again(settings):
    assert levels.augment(recipe("accurate"), levels.spell(settings)).augmentation == settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("storng", "Did you mean 'strong'?"),
        ("", "Unknown level of augmentation"),
        ("light,crpo=2", "Did you mean 'augmentation.crop'?"),
        ("mixup=much", "augmentation.mixup cannot be read"),
        ("erasing=2", "augmentation.erasing must be 0 to 1. Received: augmentation.erasing=2"),
        ("shear=90", "below 60"),
        ("augmix=-1", "0 or more"),
        ("mixup=inf", "0 or more"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(UsageError) as caught:
        levels.augment(Config(), text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--augment", "medium"], levels.LEVELS["medium"]),
        (["--augment", "none"], Augmentation()),
        (["augment=light"], levels.LEVELS["light"]),
        (["--aug", "none", "--reprob", "0.2"], Augmentation(erasing=0.2)),
        (["--crop", "6", "--augment", "light"], Augmentation("random", 6)),
        (
            ["--augment", "crop=3,mixup=0.4", "--set", "augmentation.crop=1"],
            Augmentation("alternate", 1, mixup=0.4),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_train_takes_levels_below_single_options(words, wanted):
    parsed = options.parse(train.Options, words, verb="train", default=train.start(words))
    assert train.resolve(parsed).augmentation == wanted
