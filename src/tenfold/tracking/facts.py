"""What trackers are told of a run, as plain values by name."""

import dataclasses
from collections.abc import Mapping

from tenfold.config import Config
from tenfold.runs import Run

Row = Mapping[str, float]
"""A line of the history: one epoch."""

Plain = bool | int | float | str


def settings_of(config: Config) -> dict[str, Plain]:
    """All settings by their dotted names."""
    found: dict[str, Plain] = {}
    for name, value in dataclasses.asdict(config).items():
        nested = isinstance(value, dict)
        entries = {f"{name}.{key}": each for key, each in value.items()} if nested else {name: value}
        for key, each in entries.items():
            found[key] = each if isinstance(each, Plain) else str(each).lower()
    return found


def final(run: Run) -> dict[str, float]:
    """The scores of a finished run, where there was validation, and what it took."""
    summary, scores = run.summary, run.scores("validation")
    found = {name: float(summary[name]) for name in ("seconds", "parameters", "flops", "best_epoch")}
    if scores is not None:
        found |= {"accuracy": scores["accuracy"], "loss": scores["loss"]}
        found["calibration_error"] = scores["calibration"]["calibration_error"]
    return found


def reason(error: Exception) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
