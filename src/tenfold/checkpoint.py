"""Everything that an interrupted run needs to go on exactly: one file, replaced whole after an epoch."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras
import numpy as np

from tenfold.errors import DataError, UsageError
from tenfold.runs import Run

FILE = "state/epoch.npz"


class Resumable(Protocol):
    """A callback with a memory of its own."""

    def get_state(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """What it remembers: facts that JSON can hold, and arrays."""

    def set_state(self, facts: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Takes back what `get_state` gave."""


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole state of training after an epoch, and brings it back.

    The state is the weights, the optimizer's slots and step, the seeds of dropout, and what the other
    callbacks remember. The order of pictures and their augmentation follow from the seed and the epoch, so
    they need none. It must come after `others` in the list of callbacks.

    Args:
        run: where the state is kept.
        others: callbacks whose memory belongs to the state, by name.
        due: tells of an epoch, from 0, whether to save after it.
    """

    def __init__(
        self, run: Run, others: Mapping[str, Resumable], due: Callable[[int], bool] = lambda epoch: True
    ):
        super().__init__()
        self.run = run
        self.others = others
        self.due = due

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not self.due(epoch):
            return
        facts: dict[str, Any] = {"epoch": epoch + 1, "stopped": bool(self.model.stop_training)}
        groups = {"model": [keras.ops.convert_to_numpy(v) for v in _variables(self.model)]}
        for name, other in self.others.items():
            facts[name], groups[name] = other.get_state()
        arrays: dict[str, Any] = {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
        for name, values in groups.items():
            arrays |= {f"{name}/{number}": value for number, value in enumerate(values)}
        with self.run.replacing(FILE) as path, open(path, "wb") as file:
            np.savez(file, **arrays)

    def restore(self, model: keras.Model, epochs: int) -> int:
        """Brings the model and the other callbacks to the state that was saved.

        Args:
            model: fresh from the run's settings, compiled.
            epochs: how many are planned.

        Returns:
            How many epochs are done; all of them where the run had stopped early.

        Raises:
            UsageError: no epoch had ended. DataError: the state does not fit the model.
        """
        path = self.run.path / FILE
        if not path.exists():
            raise UsageError(f"{self.run.path} was stopped before its first epoch had ended. Train it anew.")
        model.optimizer.build(model.trainable_variables)
        with np.load(path, allow_pickle=False) as archive:
            facts: dict[str, Any] = json.loads(archive["facts"].tobytes())
            groups: dict[str, list[np.ndarray]] = {name: [] for name in ("model", *self.others)}
            for name in archive.files:  # in the order in which they were written
                if name != "facts":
                    groups[name.partition("/")[0]].append(archive[name])
        places = _variables(model)
        if [value.shape for value in groups["model"]] != [tuple(place.shape) for place in places]:
            raise DataError(f"{path} holds the state of another model. Train the run anew.")
        for place, value in zip(places, groups["model"], strict=True):
            place.assign(value)
        for name, other in self.others.items():
            other.set_state(facts[name], groups[name])
        return epochs if facts["stopped"] else int(facts["epoch"])


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
