"""The same settings with several seeds: `tenfold train --seeds 5`, how much chance alone moves a score."""

import dataclasses
import glob
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tenfold.cli import resume, train
from tenfold.cli.progress import Progress, Style, emit, percent
from tenfold.config import Config
from tenfold.errors import Stopped, UsageError

if TYPE_CHECKING:
    from tenfold.runs import Run


@dataclass(frozen=True)
class Series:
    """Runs that differ in nothing but their seed.

    Attributes:
        config: the settings, with the first seed.
        count: how many seeds, from the first on.
        runs: folder that holds all runs.
        name: that the runs' names begin with.
    """

    config: Config
    count: int
    runs: Path
    name: str

    @property
    def record(self) -> Path:
        """The file with the settings and, once all have finished, the scores of all."""
        return self.runs / f"{self.name}-seeds.json"

    @property
    def settings(self) -> dict[str, Any]:
        """What all seeds share, as the record holds it."""
        shared = msgspec.to_builtins(self.config)
        del shared["seed"]
        return shared

    @property
    def members(self) -> dict[Path, Config]:
        """The settings of each run, by its folder."""
        seeds = range(self.config.seed, self.config.seed + self.count)
        return {
            self.runs / f"{self.name}-s{seed}": dataclasses.replace(self.config, seed=seed) for seed in seeds
        }


def train_all(series: Series, exist_ok: bool, style: Style) -> None:
    """Trains what is missing of a series, one seed after the other, and gives mean and deviation.

    A run that has finished is left as it is, one that was stopped goes on, so the same command can be given
    again after whatever ended it. `exist_ok` trains all of them anew.

    Raises:
        UsageError: the folder holds runs of these names with other settings.
    """
    from tenfold.runs import Run

    if Path(series.name).name != series.name:
        raise UsageError(f"A run's name is one folder name. Received: name={series.name}. Expected e.g. fast")
    if not exist_ok:
        _check(series)
    shelf = Run(series.runs)  # no run, but what writes whole files into the folder
    shelf.write(series.record.name, {"settings": series.settings})
    for number, (path, config) in enumerate(series.members.items(), 1):
        if style == "human":
            print(f"Seed {config.seed}, run {number} of {series.count}", flush=True)
        try:
            _bring_to_its_end(path, config, exist_ok, style, first=number == 1)
        except Stopped as stop:
            raise Stopped(f"{stop} The same command again goes on with all seeds.", stop.exit_code) from None
    done = [Run(path) for path in series.members]
    found = summary(done)
    shelf.write(series.record.name, {"settings": series.settings, **found})
    _say(found, series.record, style)


def summary(runs: "list[Run]") -> dict[str, Any]:
    """Validation scores of runs, and over them mean, deviation (of the sample), lowest and highest."""
    scores = [run.scores("validation") for run in runs]
    rows = [
        {"run": str(run.path), "seed": run.config.seed}
        | {name: score[name] for name in ("accuracy", "accuracy_interval", "loss") if score}
        for run, score in zip(runs, scores, strict=True)
    ]
    found: dict[str, Any] = {"runs": rows}
    for name in ("accuracy", "loss"):
        values = [score[name] for score in scores if score]
        if len(values) == len(rows):
            spread = {"mean": statistics.fmean(values), "deviation": statistics.stdev(values)}
            found[name] = spread | {"lowest": min(values), "highest": max(values)}
    return found


def _check(series: Series) -> None:
    """That what bears these names in the folder is of these settings."""
    taken = sorted(series.runs.glob(f"{glob.escape(series.name)}-s[0-9]*/config.yaml"))
    if not taken:
        return
    # The runs' own settings are resolved ones: what the user asked for stands in the record only.
    try:
        known = json.loads(series.record.read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"{taken[0].parent} exists, without a {series.record.name} beside it that tells what it is. "
            "Choose another --name, or --exist-ok to train all seeds anew."
        ) from None
    for name, value in series.settings.items():
        if known.get(name) != value:
            raise UsageError(
                f"{series.record} is of runs with other settings. Expected: {name}={known.get(name)}. "
                f"Received: {name}={value}. Choose another --name, or --exist-ok to train all seeds anew."
            )


def _bring_to_its_end(path: Path, config: Config, exist_ok: bool, style: Style, *, first: bool) -> None:
    """Trains, resumes or leaves one run, whatever state its folder is in."""
    from tenfold import reporting
    from tenfold.runs import Run

    if (path / "summary.json").exists() and not exist_ok:
        if not (path / "report.html").exists():  # all that can be missing from a run with a summary
            reporting.report(Run(path))
        if style == "human":
            print(f"{path} has finished before and stays as it is.\n", flush=True)
    elif (path / "state" / "epoch.npz").exists() and not exist_ok:
        resume.run(resume.Options(path, quiet=style == "quiet", json=style == "json"))
    else:  # nothing there that could go on
        started = None if first else time.perf_counter()
        train.train(config, path.parent, path.name, True, style, started)
        if style == "human":
            print(flush=True)


def _say(found: dict[str, Any], record: Path, style: Style) -> None:
    console = Progress(style).console
    for row in found["runs"]:
        score = percent(row["accuracy"]) if "accuracy" in row else "no validation score"
        console.print(f"seed {row['seed']:<4}{score:>8}   {row['run']}", markup=False)
    if accuracy := found.get("accuracy"):
        spread = f"{100 * accuracy['mean']:.2f} % ± {100 * accuracy['deviation']:.2f}"
        console.print(
            f"{spread} of validation pictures right: mean and deviation of {len(found['runs'])} seeds "
            f"({percent(accuracy['lowest'])} to {percent(accuracy['highest'])})",
            markup=False,
        )
    console.print(f"Kept:   {record}", markup=False)
    if style == "json":
        emit("seeds", **found, record=str(record))
