"""Which settings a study searches, between which values, and where it starts.

The marks beside the settings (`config.spaces`) say what may be tried. Here they become a space: for each
setting, by its name in config.yaml, the values to try and the one that the recipe has.
"""

import dataclasses
import inspect
import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tenfold.config import Config
from tenfold.config.spaces import Among, Around, Only, Range, Value
from tenfold.errors import UsageError, unknown

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Dimension:
    """What is tried for one setting.

    Attributes:
        start: the value to start from.
        choices: numbers between two bounds, or single values; the start is among them.
    """

    start: Value
    choices: Range | tuple[Value, ...]

    def __str__(self) -> str:
        if isinstance(self.choices, Range):
            return f"{self.choices.low:.4g} to {self.choices.high:.4g}"
        return ", ".join(map(str, self.choices))


Space = dict[str, Dimension]
"""By a setting's name in config.yaml, dotted for nested ones."""


def find(config: Config, search: Iterable[str] = (), keep: Collection[str] = ()) -> Space:
    """The settings that a study which starts from `config` searches.

    Args:
        config: what to start from. Where `config.time` is set, options that a run by the clock chooses by
            itself are left out.
        search: names of the settings to search, with or without what stands before their dot; by default
            all that carry a mark.
        keep: names of settings that stay as they are, unless `search` names them.

    Raises:
        UsageError: a name that cannot be searched (the nearest is given), or nothing to search is left.
    """
    space = _marked(config)
    short = {brief(name): name for name in reversed(space)}

    def full(given: str) -> str:
        name = given.strip().replace("-", "_")
        name = short.get(name, name)
        if name not in space:
            raise UsageError(unknown("setting to search", given, short))
        return name

    kept = {full(name) for name in keep}
    wanted = {full(name) for name in search} or set(space) - kept
    if not wanted:
        raise UsageError("Nothing is left to search. Give fewer settings a value of your own.")
    return {name: dimension for name, dimension in space.items() if name in wanted}


def brief(name: str) -> str:
    """A setting's name as the command line has it: without what stands before its dot."""
    return name.rpartition(".")[2]


def apply(config: Config, values: Mapping[str, Value]) -> Config:
    """`config` with the settings of a trial, by their names in config.yaml.

    Raises:
        UsageError: settings that contradict each other.
    """
    groups: dict[str, dict[str, Any]] = {"": {}, "augmentation": {}, "model_options": {}}
    for name, value in values.items():
        group, _, key = name.rpartition(".")
        groups[group][key] = value
    return dataclasses.replace(
        config,
        **groups[""],
        augmentation=dataclasses.replace(config.augmentation, **groups["augmentation"]),
        model_options={**config.model_options, **groups["model_options"]},
    )


def distributions(space: Space) -> "dict[str, BaseDistribution]":
    """The space as Optuna takes it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, dimension in space.items():
        choices = dimension.choices
        if not isinstance(choices, Range):
            found[name] = CategoricalDistribution(choices)
        elif isinstance(choices.low, int) and isinstance(choices.high, int):
            found[name] = IntDistribution(choices.low, choices.high, log=choices.log)
        else:
            found[name] = FloatDistribution(choices.low, choices.high, log=choices.log)
    return found


def _marked(config: Config) -> Space:
    """All settings that carry a mark and are of use, in the order of config.yaml."""
    groups: list[tuple[str, Any]] = [("", config)]
    if config.finetunes or not config.transfers:  # a head that learns alone sees features, not pictures
        groups.append(("augmentation.", config.augmentation))
    space: Space = {}
    for before, values in groups:
        for name, hint in typing.get_type_hints(type(values), include_extras=True).items():
            space |= _dimension(before + name, hint, getattr(values, name), config)
    return space | _options(config)


def _options(config: Config) -> Space:
    """Options of the architecture, marked in the signature of its builder."""
    from tenfold import models

    builder = models.BUILDERS.get(config.model)
    if builder is None or config.transfers:  # a model of the user's own, or one that has learnt before
        return {}
    sized = {"width", "depth"}  # of `fast`: see preparation.fit_model
    by_itself = config.time is not None and config.model == "fast" and not sized & set(config.model_options)
    space: Space = {}
    for option in inspect.signature(builder).parameters.values():
        if not (by_itself and option.name in sized):
            value = config.model_options.get(option.name, option.default)
            space |= _dimension(f"model_options.{option.name}", option.annotation, value, config)
    return space


def _dimension(name: str, hint: Any, value: Any, config: Config) -> Space:
    """The setting as a space of one, or an empty one where it is not to be searched."""
    if typing.get_origin(hint) is not Annotated:
        return {}
    kind, *marks = typing.get_args(hint)
    if any(isinstance(mark, Only) and getattr(config, mark.setting) not in mark.values for mark in marks):
        return {}
    groups = [mark.values or typing.get_args(kind) for mark in marks if isinstance(mark, Among)]
    if groups:
        group = next((values for values in groups if value in values), groups[0])
        if value not in group:
            group = (value, *group)
            group = group if isinstance(value, str) else tuple(sorted(group))
        return {name: Dimension(value, group)}
    for mark in marks:
        if isinstance(mark, Around):
            return {name: Dimension(value, Range(mark.low * value, mark.high * value, log=True))}
        if isinstance(mark, Range):
            low, high = min(mark.low, value), max(mark.high, value)
            return {name: Dimension(value, Range(low, high, mark.log))}
    return {}
