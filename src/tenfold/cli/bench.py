"""Measure a run's model and its exports: speed, size, memory and scores."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from tenfold.cli import backends, faults
from tenfold.cli.progress import Progress, percent, tables

if TYPE_CHECKING:
    from rich.table import Table

    from tenfold.bench import Bench, Row


@dataclass(frozen=True)
class Options:
    """Measure the model in Keras and every export of it: time for one picture, pictures a second in batches,
    size, memory, time to open, accuracy and calibration error.

    Each turn is a process of its own, and they take turns. Scores are those of validation pictures; the test
    pictures are not read. Leaves exports/bench.json, bench.svg and bench.png. Run nothing else meanwhile.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    format: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FORMAT")] = ()
    """Export these first, as `tenfold export --format` does, besides what is in the run's exports/."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads to compute with; each is measured by itself."""
    rounds: int = 3
    """Turns of each."""
    seconds: float = 1.0
    """For timing one size of batch in one turn."""
    json: bool = False
    """Print one JSON object."""


def run(options: Options) -> int:
    """Exports what is asked for, measures, prints tables."""
    backends.choose()
    from tenfold import runs
    from tenfold.bench import bench

    opened = runs.open_run(options.run)
    with faults.logged(opened.path):
        if options.format:
            from tenfold import exporting

            list(exporting.exports(opened, options.format))  # one by one, as asked for
        with Progress("quiet" if options.json else "human") as progress:
            found = bench(
                opened,
                threads=options.threads,
                rounds=options.rounds,
                seconds=options.seconds,
                listen=lambda done, total: progress.count("bench", done, total),
            )
    if options.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
        return 0
    print(f"{found.run} on {found.machine['processor']}, {found.machine['cores']} cores\n")
    tables().print(_speeds(found))
    print()
    tables().print(_sizes(found))
    notes = [f"{row.name}, threads {row.threads}: {row.note}" for row in found.rows if row.note]
    print("\n".join(["", *_scored(found), *found.notes, *notes, str(opened.path / "exports" / "bench.json")]))
    return 0


def _speeds(found: "Bench") -> "Table":
    """How fast, one form and number of threads a row."""
    columns = ("threads", "one picture", "99 % within", "images/s by 64", "by 256")
    table = _table(columns)
    for row in found.rows:
        if row.latency_p50 is not None and row.latency_p99 is not None:
            rates = (f"{row.images_per_second[batch]:,.0f}" for batch in ("64", "256"))
            times = (f"{1000 * time:.2f} ms" for time in (row.latency_p50, row.latency_p99))
            table.add_row(row.file, _runtime(row), str(row.threads), *times, *rates)
    return table


def _sizes(found: "Bench") -> "Table":
    """How large and how right, one form a row; times and memory are those of the fewest threads."""
    table = _table(("size", "opens in", "memory", "same class", "accuracy", "calibration error"))
    fewest = min(row.threads for row in found.rows)
    for row in found.rows:
        if row.threads == fewest and row.load_seconds is not None and row.memory_bytes is not None:
            shares = (_share(value) for value in (row.agreement, row.accuracy, row.calibration_error))
            sizes = (
                f"{row.bytes / 1e6:.1f} MB",
                f"{row.load_seconds:.2f} s",
                f"{row.memory_bytes / 1e6:.0f} MB",
            )
            table.add_row(row.file, _runtime(row), *sizes, *shares)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _runtime(row: "Row") -> str:
    return row.runtime if row.precision == "float32" else f"{row.runtime} {row.precision}"


def _scored(found: "Bench") -> list[str]:
    known = [row.accuracy_interval for row in found.rows if row.accuracy_interval is not None]
    if not known:
        return []
    low, high = known[0]
    return [
        f"Scores are of the same {found.pictures:,} validation pictures; the model's 95 % interval is "
        f"{100 * low:.1f} to {percent(high)}. `same class`: as the model in Keras. Memory is the "
        "largest resident size of the process, Python included."
    ]


def _table(columns: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table("file", "runtime", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    return table
