"""The contest: gives each form of a run's model its turns, and gathers what came of them.

Each turn is a process of its own, so that no runtime's memory or threads are another's, and the contestants
take turns, so that all share a busy machine's moods.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import engines, machine, splits
from tenfold.bench.contestants import Contestant, contestants
from tenfold.bench.turn import BATCHES, Task, order
from tenfold.errors import DataError, UsageError
from tenfold.evaluation import INTERVAL_LEVEL, wilson
from tenfold.reliability import quality
from tenfold.runs import Run

NAME = "exports/bench.json"
"""Where a run keeps the last bench."""

_LIMIT = 900  # seconds for one turn
_PROGRAM = "import sys; from tenfold.bench.turn import main; main(*sys.argv[1:])"


@dataclass(frozen=True)
class Row:
    """One form of the model, with one number of threads.

    Attributes:
        file: its path below the run folder; `bytes`: its size, all files of a folder or a pair together.
        runtime: what ran it; `precision`: what that computed in.
        threads: that it computed with.
        latency_p50: seconds to answer a single picture, median over all calls of all rounds; `latency_p99`:
            their 99th percentile. None, like all that follows, where it could not be measured.
        images_per_second: by size of batch, from the median time of a call.
        load_seconds: from a process with nothing of the runtime imported to the first answer, median.
        memory_bytes: largest resident size of that process, Python included, with batches of 256.
        agreement: share of the validation pictures to which it gives the class that the model gives in Keras.
        accuracy: on the validation pictures, 0 to 1, with Wilson's 95 % `accuracy_interval`; None where there
            are none, and so is `calibration_error`.
        note: why something is missing; else empty.
    """

    file: str
    bytes: int
    runtime: str
    precision: str
    threads: int
    latency_p50: float | None = None
    latency_p99: float | None = None
    images_per_second: Mapping[str, float] = dataclasses.field(default_factory=dict)
    load_seconds: float | None = None
    memory_bytes: int | None = None
    agreement: float | None = None
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    calibration_error: float | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """File, runtime and precision."""
        return f"{self.file}, {self.runtime}{'' if self.precision == 'float32' else f' {self.precision}'}"


@dataclass(frozen=True)
class Bench:
    """What a contest found.

    Attributes:
        run: its name.
        pictures: validation pictures that each form was scored on; 0 for none.
        rounds: turns of each.
        machine: versions, processor, cores and commit.
        rows: contestants in their order, by number of threads.
        notes: what to know about them, in sentences.
    """

    run: str
    pictures: int
    rounds: int
    machine: Mapping[str, Any]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `exports/bench.json` holds it."""
        return {**dataclasses.asdict(self), "interval_level": INTERVAL_LEVEL}


def bench(
    run: Run,
    *,
    threads: Sequence[int] = (1, 2),
    rounds: int = 3,
    seconds: float = 1.0,
    listen: Callable[[int, int], None] = lambda done, total: None,
) -> Bench:
    """Measures a run's model in Keras and every export of it, and leaves `exports/bench.json` and a plot.

    Scores are those of validation pictures; test pictures are not read.

    Args:
        run: a finished run.
        threads: numbers of threads to compute with, each measured by itself.
        rounds: turns of each contestant.
        seconds: for timing one size of batch in one turn.
        listen: told how many turns are done, and how many there are in all.

    Raises:
        UsageError: threads or rounds below 1.
        GateError: the run keeps no pictures at all. ResourceError: the folder cannot be written to.

    Example:
        >>> found = bench(open_run("runs/fast"), threads=(1,), rounds=1)     # doctest: +SKIP
        >>> found.rows[1].latency_p50                                        # doctest: +SKIP
        0.0011
    """
    if rounds < 1 or not threads or min(threads) < 1:
        raise UsageError(
            f"Rounds and threads must be 1 or more. Received: rounds={rounds}, threads={threads}"
        )
    entries = [(one, count) for one in contestants(run) for count in dict.fromkeys(threads)]
    images, labels, notes = _pictures(run)
    turns: dict[tuple[Contestant, int], list[dict[str, Any]]] = {entry: [] for entry in entries}
    answers: dict[Contestant, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        np.save(scratch / "pictures.npy", images)
        for number, entry in enumerate(entries * rounds, start=1):
            wanted = labels is not None and entry[0] not in answers
            if not any("error" in found for found in turns[entry]):
                turns[entry].append(_turn(run, *entry, seconds, scratch, wanted))
            if wanted and (kept := scratch / "answers.npy").exists():
                answers[entry[0]] = np.load(kept)
                kept.unlink()
            listen(number, rounds * len(entries))
    model = answers.get(entries[0][0])
    rows = [_row(*entry, turns[entry], answers.get(entry[0]), labels, model) for entry in entries]
    found = Bench(
        run=run.name,
        pictures=0 if labels is None else len(labels),
        rounds=rounds,
        machine=machine.versions() | _versions({one.runtime for one, _ in entries}),
        rows=tuple(rows),
        notes=tuple(notes),
    )
    run.write(NAME, found.to_dict())
    _draw(run, rows)
    return found


def _pictures(run: Run) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Pictures to answer, their labels where they are validation pictures, and what to know about them."""
    if "validation" in run.splits["splits"]:
        try:
            held = splits.open_split(run, "validation")
            return held.images, held.labels, []
        except DataError as error:
            reason = str(error)
    else:
        reason = f"{run.path} was trained on all pictures and has no validation split."
    return engines.sample(run), None, [f"No scores: {reason}"]


def _turn(
    run: Run, one: Contestant, threads: int, seconds: float, scratch: Path, scored: bool
) -> dict[str, Any]:
    """What a process of its own finds out about a contestant; `error` where it cannot."""
    task, result = scratch / "task.json", scratch / "result.json"
    order(
        Task(
            run=str(run.path),
            path=str(one.path),
            format=one.format,
            engine=one.engine,
            precision=one.precision,
            threads=threads,
            pictures=str(scratch / "pictures.npy"),
            seconds=seconds,
            answers=str(scratch / "answers.npy") if scored else "",
        ),
        task,
    )
    result.unlink(missing_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROGRAM, str(task), str(result)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"It took longer than {_LIMIT} s."}
    if result.exists():
        return json.loads(result.read_text(encoding="utf-8"))
    last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    return {"error": f"Its process ended with code {done.returncode}: {last}"}


def _row(
    one: Contestant,
    threads: int,
    turns: Sequence[Mapping[str, Any]],
    answers: np.ndarray | None,
    labels: np.ndarray | None,
    model: np.ndarray | None,
) -> Row:
    row = Row(one.file, one.bytes, one.runtime, one.precision, threads)
    if wrong := [found["error"] for found in turns if "error" in found]:
        return dataclasses.replace(row, note=wrong[0])
    times = {batch: np.concatenate([found["seconds"][str(batch)] for found in turns]) for batch in BATCHES}
    row = dataclasses.replace(
        row,
        precision=turns[0]["precision"],
        latency_p50=float(np.quantile(times[1], 0.5)),
        latency_p99=float(np.quantile(times[1], 0.99)),
        images_per_second={str(batch): batch / float(np.median(taken)) for batch, taken in times.items()},
        load_seconds=statistics.median(found["load_seconds"] for found in turns),
        memory_bytes=max(found["memory_bytes"] for found in turns),
    )
    if answers is None or labels is None:
        return row
    named = answers.argmax(axis=1)
    right = int((named == labels).sum())
    return dataclasses.replace(
        row,
        agreement=None if model is None else float((named == model.argmax(axis=1)).mean()),
        accuracy=right / len(labels),
        accuracy_interval=wilson(right, len(labels), INTERVAL_LEVEL),
        calibration_error=quality(answers, labels).calibration_error,
    )


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _draw(run: Run, rows: Sequence[Row]) -> None:
    from tenfold.bench.chart import chart
    from tenfold.reporting import plots

    if any(row.latency_p50 for row in rows):
        figure = chart(rows)
        run.write("exports/bench.png", plots.png(figure))
        run.write("exports/bench.svg", plots.svg(figure))
