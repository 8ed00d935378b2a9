"""One turn of a contestant of `contest`, in a process of its own.

Nothing is imported that the contestant's runtime does not need, so that the time to open it and the memory
are its own.
"""

import dataclasses
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import engines, machine, runtimes
from tenfold.errors import TenfoldError
from tenfold.views import PredictFn

BATCHES = (1, 64, 256)
"""Pictures a call that are timed."""

_CHUNK = 256  # pictures a call where answers count and not their time
_FEWEST = {1: 20, 64: 3, 256: 3}  # timed calls, however slow


@dataclass(frozen=True)
class Task:
    """What a turn is to do.

    Attributes:
        run: folder of the run.
        path: the model's file or folder.
        format: as `runtimes.open_file` takes it; empty for the run's own model.keras.
        engine: of `engines.ENGINES`, for an ONNX file that is to be opened by one; else empty.
        precision: that the engine computes in.
        threads: to compute with.
        pictures: .npy file, uint8 (n, height, width, 3).
        seconds: for each size of batch.
        answers: .npy file that takes probabilities (n, classes) of all pictures; empty where they are known.
    """

    run: str
    path: str
    format: str
    engine: str
    precision: str
    threads: int
    pictures: str
    seconds: float
    answers: str


def take(task: Task) -> dict[str, Any]:
    """Opens the model, times it, and lets it answer.

    Returns:
        `precision`: that it computes in; `load_seconds`: from nothing imported to one picture answered;
        `seconds`: the times of all calls by size of batch; `memory_bytes`: largest resident size of the
        process, Python and all, before `answers`.

    Raises:
        TenfoldError: it cannot be opened.
    """
    pictures = np.load(task.pictures, mmap_mode="r")
    begin = time.perf_counter()
    predict = _opened(task)
    predict(pictures[:1])
    loaded = time.perf_counter() - begin
    timed = {str(batch): _timed(predict, pictures, batch, task.seconds) for batch in BATCHES}
    found = {
        "precision": getattr(predict, "precision", task.precision),
        "load_seconds": loaded,
        "seconds": timed,
        "memory_bytes": _peak_memory(),
    }
    if task.answers:
        chunks = [pictures[at : at + _CHUNK] for at in range(0, len(pictures), _CHUNK)]
        np.save(task.answers, np.concatenate([predict(np.array(chunk)) for chunk in chunks]))
    return found


def _opened(task: Task) -> PredictFn:
    if task.engine:
        return engines.open_file(Path(task.path), task.engine, task.precision)
    if task.format:
        return runtimes.open_file(Path(task.path), task.format, threads=task.threads)
    from tenfold import runs
    from tenfold.prediction.answerer import answerer

    return answerer(runs.open_run(task.run), "keras").predict


def _timed(predict: PredictFn, pictures: np.ndarray, batch: int, seconds: float) -> list[float]:
    pile = np.resize(pictures[: max(batch, 64)], (max(batch, 64), *pictures.shape[1:]))
    calls = [pile[at : at + batch] for at in range(0, len(pile) - batch + 1, batch)]
    for call in calls[:2]:  # the first calls also prepare
        predict(call)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _FEWEST[batch] or time.perf_counter() < end:
        call = calls[len(times) % len(calls)]
        start = time.perf_counter()
        predict(call)
        times.append(time.perf_counter() - start)
    return times


def _peak_memory() -> int:
    """Largest resident size of this program, in bytes.

    What `getrusage` tells counts the parent before it started this program too, on Linux.
    """
    try:
        peak = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:  # not on Linux
        peak = None
    return int(peak[1]) * 1024 if peak else machine.peak_memory()


def main(task: str, result: str) -> None:
    """Takes the turn that the file `task` describes; leaves a result, or what went wrong, in `result`."""
    try:
        found = take(Task(**json.loads(Path(task).read_text(encoding="utf-8"))))
    except TenfoldError as error:
        found = {"error": str(error)}
    Path(result).write_text(json.dumps(found), encoding="utf-8")


def order(task: Task, path: Path) -> None:
    """Writes a task for `main` to read."""
    path.write_text(json.dumps(dataclasses.asdict(task)), encoding="utf-8")
