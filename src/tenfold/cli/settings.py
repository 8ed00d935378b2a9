"""Lays settings over each other: defaults < recipe < config file < command line < --set."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tenfold import config as configs
from tenfold.config import Config
from tenfold.errors import UsageError


def base(recipe: str | None, file: str | None) -> Config:
    """The settings that the command line starts from.

    Args:
        recipe: a recipe's name; when None, the one the file names, else the default.
        file: a YAML file; only the settings it holds replace those of the recipe.

    Raises:
        UsageError: an unknown recipe or setting, a file that cannot be read, a value that does not fit.
    """
    from tenfold.recipes import recipe as settings_of

    if file is None:
        return settings_of(Config().recipe if recipe is None else recipe)
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"The config file {file} cannot be read: {why}") from None
    given = configs.from_yaml(text, file)
    held = msgspec.yaml.decode(text)
    start = settings_of(given.recipe if recipe is None else recipe)
    merged = _laid_over(start, given, held)
    return dataclasses.replace(merged, recipe=start.recipe)


def _laid_over(start: Config, given: Config, held: dict[str, object]) -> Config:
    values = {name: getattr(given, name) for name in held if name != "augmentation"}
    inner = held.get("augmentation")
    if isinstance(inner, dict):
        values["augmentation"] = dataclasses.replace(
            start.augmentation, **{name: getattr(given.augmentation, name) for name in inner}
        )
    return dataclasses.replace(start, **values)


def apply(config: Config, changes: Sequence[str]) -> Config:
    """`config` with each `key=value` of `--set` applied in turn."""
    for change in changes:
        key, equals, text = change.partition("=")
        if not (key and equals):
            raise UsageError(f"--set expects KEY=VALUE, for example --set epochs=20. Received: {change}")
        if key == "recipe":
            raise UsageError(f"A recipe is more than its name. Choose one with: --recipe {text}")
        config = configs.override(config, key, text)
    return config
