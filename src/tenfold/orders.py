"""What a Python program asks to be trained: whole settings, or data and what differs from a recipe."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold import keepsakes
from tenfold.config import Config
from tenfold.datasets import Dataset, memory
from tenfold.errors import DataError, UsageError, unknown
from tenfold.recipes import recipe
from tenfold.runs import Run


@dataclass(frozen=True)
class Order:
    """What to train.

    Attributes:
        settings: all of them.
        model: a Keras model in memory to train, or None.
        data: pictures in memory to train on, or None; held here, as they are found only while they are.
    """

    settings: Config
    model: Any = None
    data: Dataset | None = None


def order(what: Config | str | Path | Dataset, changes: Mapping[str, Any]) -> Order:
    """Settings from what a caller gives.

    Args:
        what: whole settings; or data, by name, path or in memory. Data are trained on by the recipe that
            `changes` name, else by "own" where they name a model of one's own, by "transfer" where a
            network to start from, else by "fast".
        changes: settings to lay over that, by name; `model` may also be a Keras model.

    Raises:
        UsageError: no such setting. DataError: pictures in memory that are none.

    Example:
        >>> order("digits", {"epochs": 3}).settings.data
        'digits'
    """
    values = {name: value for name, value in changes.items() if (name, value) != ("model", None)}
    names = [field.name for field in dataclasses.fields(Config)]
    for name in values:
        if name not in names:
            raise UsageError(unknown("setting", name, names))
    model, data = values.get("model"), None
    if isinstance(model, Path):
        values["model"] = str(model)
    elif model is not None and not isinstance(model, str):
        values["model"] = f"memory:{getattr(model, 'name', type(model).__name__)}"
    if isinstance(what, Config):
        base = what
    else:
        own = Config(model=values.get("model", Config.model)).own_model
        starts = {"backbone", "from_run"} & set(values)
        base = recipe(values.get("recipe", "own" if own else "transfer" if starts else Config.recipe))
        data = what if isinstance(what, Dataset) else None
        values["data"] = memory.hold(what) if isinstance(what, Dataset) else str(what)
    settings = dataclasses.replace(base, **values)
    return Order(settings, None if isinstance(model, str | Path) else model, data)


def again(run: Run, data: Dataset | None = None) -> Config:
    """The settings of a run to go on with, a model of the user's own led to what the run keeps of it.

    Args:
        run: that was stopped.
        data: pictures to make known again, where the run was trained on pictures in memory.

    Raises:
        DataError: they are not those that it was trained on, or what it keeps was changed.
    """
    config = run.config
    if data is not None and (name := memory.hold(data)) != config.data:
        raise DataError(
            f"These are not the pictures that {run.path} was trained on. Expected: {config.data}. "
            f"Received: data={name}"
        )
    return dataclasses.replace(config, model=keepsakes.again(run.path, config.model))
