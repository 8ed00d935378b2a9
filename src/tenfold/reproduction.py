"""Whether a run can be had again: trains it anew from its record and says how near the second comes."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold import machine, splits
from tenfold.errors import DataError
from tenfold.records import BACKENDS, Record, record
from tenfold.runs import Run
from tenfold.significance import CHANCE, bootstrap, in_words, mcnemar

_SOFTWARE = ("tenfold", "commit", "python", "keras", "numpy")
_HARDWARE = ("processor", "threads", "accelerator")


@dataclass(frozen=True)
class Reproduction:
    """A run that was trained anew, against the first.

    Attributes:
        first: name of the first run.
        run: the second.
        same_weights: whether all weights are the same, bit for bit.
        pictures: validation pictures that both answered; 0 where there are none to compare on.
        only_first: of these, how many only the first answers right; `only_second`: only the second.
    """

    first: str
    run: Run
    same_weights: bool
    pictures: int
    only_first: int
    only_second: int

    @property
    def accuracy(self) -> float:
        """Of the second minus of the first, in [-1, 1]; 0 without pictures."""
        return (self.only_second - self.only_first) / max(1, self.pictures)

    @property
    def p_value(self) -> float:
        """McNemar's mid-p; 1 without pictures."""
        return mcnemar(self.only_first, self.only_second)

    @property
    def reproduced(self) -> bool:
        """Whether the weights are the same, or else the scores no more than chance apart."""
        return self.same_weights or (self.pictures > 0 and self.p_value >= CHANCE)

    def to_dict(self) -> dict[str, Any]:
        """As `reproduction.json` of the second run holds it."""
        told = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        found = {"accuracy": self.accuracy, "p_value": self.p_value, "reproduced": self.reproduced}
        return told | found | {"run": str(self.run.path)}

    def __str__(self) -> str:
        second, first = self.run.name, self.first
        if self.same_weights:
            return f"{second} reproduces {first} bit for bit: all weights are the same."
        if not self.pictures:
            return (
                f"Whether {second} reproduces {first} cannot be told. Expected: the same weights, or "
                "validation pictures to compare answers on. Received: other weights, pictures=0. Repeat it "
                "on the machine and with the versions of the first."
            )
        low, high = bootstrap(self.only_first, self.only_second, self.pictures)
        differs = (
            f"{100 * self.accuracy:+.1f} points on the same {self.pictures:,} validation pictures "
            f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f}; {in_words(self.p_value)})"
        )
        if self.reproduced:
            return f"{second} reproduces {first}: other weights, but no more than chance apart, {differs}."
        return (
            f"{second} does not reproduce {first}. Expected: a score no more than chance apart. "
            f"Received: {differs}. Other rounding, threads or --time make another model, as another seed "
            "does; tenfold train --seeds says how much that moves a score."
        )


def reproduce(
    first: Record,
    *,
    runs: str | Path = Path("runs"),
    name: str | None = None,
    exist_ok: bool = False,
    command: str = "",
    listen: Callable[[Any], None] = lambda moment: None,
    ending: float = 0.0,
) -> Reproduction:
    """Trains a run anew and compares the two; leaves `reproduction.json` in the new run.

    Args:
        first: from `records.read`.
        runs: folder that takes the new run.
        name: of the new run; `-again` after the first one's by default.
        exist_ok, command, ending: as for `training.train`.
        listen: receives what `training.train` reports, and a sentence for whatever is other than it was and
            may change the result.

    Raises:
        DataError: the data are not those of the record; nothing is trained then.
        UsageError: Keras runs on another backend than the run's.

    Example:
        >>> print(reproduce(records.read("runs/tiny")))           # doctest: +SKIP
        tiny-again reproduces tiny bit for bit: all weights are the same.
    """
    from tenfold import preparation, training  # here, so that Keras can be set up before it is imported

    check_data(first)
    preparation.set_up(first.config)
    for sentence in differences(first, preparation.threads(first.config)):
        listen(sentence)
    made = training.train(
        first.config,
        runs=runs,
        name=name or f"{first.name}-again",
        exist_ok=exist_ok,
        command=command,
        listen=listen,
        started=time.perf_counter(),
        ending=ending,
    )
    found = compare(first, made)
    made.write("reproduction.json", found.to_dict())
    return found


def check_data(first: Record) -> None:
    """Reads the data again and holds them to the record's hashes.

    Raises:
        DataError: they are gone, or are others.
    """
    parts = splits.read(first.config)
    found = {"train": parts.train, "validation": parts.validation}
    for name, expected in first.splits.items():
        part = found.get(name)
        received = "none" if part is None else f"{len(part):,}, SHA-256 {splits.fingerprint(part)}"
        wanted = f"{expected['count']:,}, SHA-256 {expected['sha256']}"
        if received != wanted:
            raise DataError(
                f"The {name} pictures of {first.config.data} are not those of {first.name}. Expected: "
                f"pictures={wanted}. Received: pictures={received}. Restore them, or name their place "
                "with --data."
            )


def differences(first: Record, threads: int) -> list[str]:
    """What is other than it was and may change a result, in sentences.

    Args:
        first: the record.
        threads: that the backend computes with now.
    """
    accelerator = machine.accelerator()
    now = {**machine.versions(), "threads": threads, "accelerator": accelerator.name if accelerator else None}
    told = []
    software = (*_SOFTWARE, *BACKENDS.get(first.config.backend, ()))
    for title, names in (("versions", software), ("machine", _HARDWARE)):
        changed = [
            f"{name} {now.get(name, 'none')}, was {first.environment.get(name, 'unknown')}"
            for name in names
            if now.get(name) != first.environment.get(name)
        ]
        if changed:
            told.append(f"Other {title} than when {first.name} was trained: {'; '.join(changed)}.")
    if first.config.time is not None:
        told.append(
            f"{first.name} was trained by the clock. How many epochs fit depends on the machine's speed, so "
            "other weights are to be expected."
        )
    return told


def compare(first: Record, run: Run) -> Reproduction:
    """How near a run comes to an earlier one with the same settings and data.

    Args:
        first: the earlier one's record.
        run: the later one.
    """
    second = record(run)
    pictures = only_first = only_second = 0
    if first.right is not None and second.right is not None:
        pictures = len(first.right)
        only_first = int((first.right & ~second.right).sum())
        only_second = int((~first.right & second.right).sum())
    return Reproduction(first.name, run, first.weights == second.weights, pictures, only_first, only_second)
