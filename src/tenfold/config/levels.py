"""Augmentation in one short text: levels by name, and single settings."""

import dataclasses

from tenfold.config.fields import Augmentation, Config
from tenfold.config.texts import override
from tenfold.errors import UsageError, unknown

LEVELS = {
    "none": Augmentation(),
    "light": Augmentation(flip="random", crop=2),
    "medium": Augmentation(flip="random", crop=4, brightness=0.1, contrast=0.2, saturation=0.2, erasing=0.25),
    "strong": Augmentation(flip="random", crop=4, randaugment=2, erasing=0.25, cutmix=1.0),
}
"""Sets of settings that people ask for by one word. All but `none` mirror left to right, which text and
digits do not bear."""


def augment(config: Config, text: str) -> Config:
    """`config` with the augmentation that a text asks for.

    Args:
        config: the settings to start from.
        text: words with commas between them. A level's name replaces all settings of augmentation, and
            `name=value` one of them.

    Raises:
        UsageError: an unknown level or setting (the nearest is named), or a value that does not fit.

    Example:
        >>> augment(Config(), "light,mixup=0.2").augmentation.crop
        2
    """
    for word in text.split(","):
        name, equals, value = word.strip().partition("=")
        if equals:
            config = override(config, f"augmentation.{name}", value)
        elif name in LEVELS:
            config = dataclasses.replace(config, augmentation=LEVELS[name])
        else:
            raise UsageError(
                f"{unknown('level of augmentation', name, LEVELS)} A single setting is NAME=VALUE, such as "
                "mixup=0.2"
            )
    return config


def settled(text: str) -> frozenset[str]:
    """The settings that such a text gives a value: all of them where it names a level.

    Example:
        >>> settled("mixup=0.2")
        frozenset({'mixup'})
    """
    words = [word.strip() for word in text.split(",")]
    if any("=" not in word for word in words):
        return frozenset(vars(Augmentation()))
    return frozenset(word.partition("=")[0].replace("-", "_") for word in words)


def spell(settings: Augmentation) -> str:
    """The text that gives these settings to `augment`.

    Example:
        >>> spell(Augmentation(flip="random", mixup=0.2))
        'none,flip=random,mixup=0.2'
    """
    plain = Augmentation()
    changed = [f"{name}={value}" for name, value in vars(settings).items() if value != getattr(plain, name)]
    return ",".join(["none", *changed])
