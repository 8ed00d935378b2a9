"""What a run folder says about itself, read once, with nothing where a file is missing or cut short.

A report must come out of any run: one that was stopped, one of an older version, one that was never
evaluated. So a file that cannot be read counts as absent here, and the page says what is missing.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.config import Config
from tenfold.errors import TenfoldError
from tenfold.runs import Run

SPLITS = ("test", "outside", "validation", "train")
_NEEDED = {"pictures", "loss", "accuracy", "accuracy_interval", "interval_level"}
_NEEDED |= {"report", "confusion", "class_names"}


@dataclass(frozen=True)
class Facts:
    """Everything the report tells apart from pictures.

    Attributes:
        name: of the run.
        path: its folder, as the user would type it.
        command: the command that made it; empty where unknown.
        config: its settings; None where unreadable.
        data, environment, splits, summary: the JSON files of these names; empty where missing.
        history: one mapping an epoch.
        events: one mapping an event, oldest first.
        looks: the ledger, one mapping for each look at the test pictures.
        scores: split name to scores, test first; only splits that were evaluated.
        calibration, robustness, baselines: the JSON files of these names; empty where missing.
    """

    name: str
    path: str
    command: str
    config: Config | None
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    splits: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    events: Sequence[Mapping[str, Any]]
    looks: Sequence[Mapping[str, Any]]
    scores: Mapping[str, Mapping[str, Any]]
    calibration: Mapping[str, Any]
    robustness: Mapping[str, Any]
    baselines: Mapping[str, Any]

    @property
    def class_names(self) -> list[str]:
        """The classes, from the data's description or else from any scores."""
        for known in (self.data, *self.scores.values()):
            if known.get("class_names"):
                return list(known["class_names"])
        return []

    @property
    def kept(self) -> Mapping[str, float] | None:
        """The epoch whose model was kept; the last one where the run does not say; None before the first."""
        best = self.summary.get("best_epoch")
        for row in self.history:
            if best is not None and row.get("epoch") == best:
                return row
        return self.history[-1] if self.history else None

    @property
    def columns(self) -> list[str]:
        """The columns of the history that hold anything, in their order."""
        return list(dict.fromkeys(column for row in self.history for column in row))

    @property
    def seconds(self) -> float | None:
        """Training time."""
        return self.summary.get("seconds") or (self.history[-1].get("seconds") if self.history else None)

    @property
    def images_per_second(self) -> float | None:
        """Training speed; the median over epochs where the run has no summary."""
        speeds = [row["images_per_second"] for row in self.history if "images_per_second" in row]
        return self.summary.get("images_per_second") or (statistics.median(speeds) if speeds else None)

    @property
    def data_facts(self) -> dict[str, Any]:
        """What `data.json` says apart from what the page shows elsewhere, and where validation came from."""
        shown = {key: value for key, value in self.data.items() if key not in ("notes", "counts")}
        return {**shown, "validation": self.splits.get("origin"), "split seed": self.splits.get("seed")}

    @property
    def finished(self) -> bool:
        """Whether training came to its end; a run writes its summary last."""
        return bool(self.summary)

    @property
    def has_validation(self) -> bool:
        return "validation" in self.scores or any("val_accuracy" in row for row in self.history)

    def count(self, split: str) -> int | None:
        """Pictures in a split, from wherever the run says it."""
        entry = self.splits.get("splits", {}).get(split, {})
        known = self.scores.get(split, {}).get("pictures")
        return entry.get("count") or self.data.get("counts", {}).get(split) or known


def read(run: Run) -> Facts:
    """Reads all files of `run` that the report tells about."""
    scores = {split: _or(None, run.scores, split) for split in SPLITS}
    return Facts(
        name=run.name,
        path=str(run.path),
        command=_or("", getattr, run, "command"),
        config=_or(None, getattr, run, "config"),
        data=_or({}, getattr, run, "data"),
        environment=_or({}, getattr, run, "environment"),
        splits=_or({}, getattr, run, "splits"),
        summary=_or({}, getattr, run, "summary"),
        history=_or([], getattr, run, "history"),
        events=_or([], _json_lines, run.path / "events.jsonl"),
        looks=_or([], _json_lines, run.path / "ledger.jsonl"),
        calibration=_or({}, _json, run.path / "calibration.json"),
        robustness=_or({}, _json, run.path / "robustness.json"),
        baselines=_or({}, _json, run.path / "baselines.json"),
        scores={split: found for split, found in scores.items() if found and found.keys() >= _NEEDED},
    )


def _or(otherwise: Any, read: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return read(*arguments)
    except (TenfoldError, OSError, ValueError, KeyError, TypeError):
        return otherwise


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; one that a kill cut short is left out."""
    entries = [_or(None, json.loads, line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in entries if isinstance(entry, dict)]
