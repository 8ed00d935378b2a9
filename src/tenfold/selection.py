"""The fastest engine for an exported file on this machine, among those whose answers are close enough.

Which engine is fastest differs from machine to machine and from network to network, so it is measured, once,
together with how far each one's answers lie from float32.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tenfold import engines, machine, runs
from tenfold.engines import BATCH, compare
from tenfold.errors import GateError, ResourceError, UsageError, unknown

Precision = Literal["auto", "float32", "int8"]

# The largest difference of a probability from float32 that an engine may show. Engines in float32 differ by
# their order of adding, about 1e-6. In bfloat16, of 5,000 validation pictures of two runs of `fast` with
# kernels as the optimizer left them, 99 % moved by less than 0.015 and 0.020, one by 0.072 and 0.096, and
# 99.9 and 99.8 % kept their class; of two with kernels that `models.grid` had settled, all but one of 10,000
# moved by less than 0.01. Where the bound is missed, float32 answers.
BOUNDS = {"float32": 1e-4, "bfloat16": 0.04, "int8": 1.0}
# The share of the pictures whose most probable class must be that of float32. In int8 single probabilities
# move by 0.1 to 0.8, so that this alone decides: looser than `engines.SAME_IN_INT8`, which holds for a file
# on far more pictures, but enough to notice a processor whose 8-bit sums overflow.
SAME_ANSWER = {"float32": 0.995, "bfloat16": 0.995, "int8": 0.95}


@dataclass(frozen=True)
class Measurement:
    """How one engine did on one file.

    Attributes:
        engine: a name of `engines.ENGINES`.
        precision: "float32", "bfloat16" or "int8".
        images_per_second: median over rounds, at the batch size asked for.
        difference: largest difference of a probability from the float32 answers.
        agreement: share of pictures with the same most probable class, 0 to 1.
    """

    engine: str
    precision: str
    images_per_second: float
    difference: float
    agreement: float

    @property
    def good(self) -> bool:
        """True where the answers stay within the bounds."""
        return self.difference <= BOUNDS[self.precision] and self.agreement >= SAME_ANSWER[self.precision]


def measure(
    path: Path,
    images: np.ndarray,
    *,
    batch: int = BATCH,
    int8: Path | None = None,
    seconds: float = 1.0,
) -> list[Measurement]:
    """Runs a file on every engine and precision at hand, in turn, so that all share a busy machine's moods.

    Args:
        path: the file.
        images: uint8 (n, h, w, 3), real pictures, a few hundred; noise would not show near ties.
        batch: pictures a call to time.
        int8: the int8 file made from it, to run in its place.
        seconds: for timing, in all; each is called at least once after a first call that does not count.

    Raises:
        MissingExtraError: no engine is installed.
        DataError: the file cannot be read as a model.
    """
    opened = [
        engines.open_file(int8 or path, name, kind)
        for name in engines.available() or engines.ENGINES
        for kind in (engines.precisions(name) if int8 is None else ("int8",))
    ]
    reference = engines.open_file(path, opened[0].name)(images)
    pile = np.resize(images, (batch, *images.shape[1:]))  # repeats them as often as it takes
    times: list[list[float]] = [[] for _ in opened]
    for engine in opened:
        engine(pile)
    end = time.perf_counter() + seconds
    while not times[-1] or time.perf_counter() < end:
        for engine, taken in zip(opened, times, strict=True):
            start = time.perf_counter()
            engine(pile)
            taken.append(time.perf_counter() - start)
    return [
        Measurement(
            engine.name,
            engine.precision,
            batch / statistics.median(taken),
            *compare(reference, engine(images)),
        )
        for engine, taken in zip(opened, times, strict=True)
    ]


def choose(
    path: Path,
    images: np.ndarray,
    *,
    engine: str = "auto",
    precision: Precision = "auto",
    batch: int = BATCH,
    int8: Path | None = None,
    run: runs.Run | None = None,
) -> Measurement:
    """The fastest engine for a file whose answers stay within the bounds.

    With `run`, all that was measured is kept in its `engine.json`, and holds until the file, the machine, its
    threads or a version changes. Only who asks for int8 gets it.

    Args:
        path: the file.
        images: as for `measure`.
        engine: a name of `engines.ENGINES`, or "auto" for any.
        precision: "float32", "int8", or "auto" for float32 or bfloat16.
        batch: pictures a call: 1 for the quickest single answer.
        int8: the int8 file made from `path`; needed for that precision, left aside for the others.
        run: where to remember.

    Raises:
        UsageError: no such engine or precision.
        MissingExtraError: the engine is not installed.
        GateError: none stays within the bounds.
    """
    if precision not in get_args(Precision):
        raise UsageError(unknown("precision", precision, get_args(Precision)))
    if precision != "int8":
        int8 = None
    elif int8 is None:
        raise UsageError("int8 is answered by a file of its own. Expected: int8=PATH. Received: int8=None")
    if engine != "auto":
        engines.require(engine)
    measured = _measured(path, images, batch, int8, run)
    asked = [
        one for one in measured if engine in ("auto", one.engine) and precision in ("auto", one.precision)
    ]
    good = [one for one in asked if one.good]
    if not good:
        nearest = min(asked, key=lambda one: one.difference)
        bound, same = BOUNDS[nearest.precision], SAME_ANSWER[nearest.precision]
        raise GateError(
            f"No engine's answers for {path} stay within the bound. Expected: probabilities within {bound} "
            f"of float32 and the same class for {same:.1%}. Received: difference={nearest.difference:.4g} by "
            f"{nearest.engine}, agreement={nearest.agreement:.1%}. Use --engine keras --precision float32."
        )
    return max(good, key=lambda one: one.images_per_second)


def _measured(
    path: Path, images: np.ndarray, batch: int, int8: Path | None, run: runs.Run | None
) -> list[Measurement]:
    if run is None:
        return measure(path, images, batch=batch, int8=int8)
    valid_for = {
        "file": engines.digest(path),
        "processor": machine.processor(),
        "threads": engines.threads(),
        "versions": {name: importlib.metadata.version(name) for name in ("tenfold", *engines.available())},
    }
    key = str(batch) if int8 is None else f"{batch} int8 {engines.digest(int8)}"
    try:
        known = json.loads((run.path / "engine.json").read_text(encoding="utf-8"))
        kept = known["measured"] if known["valid_for"] == valid_for else {}
        if key in kept:
            return [Measurement(**one) for one in kept[key]]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or not by this version
        kept = {}
    found = measure(path, images, batch=batch, int8=int8)
    kept[key] = [dataclasses.asdict(one) for one in found]
    with contextlib.suppress(ResourceError):  # a run on a read-only disk is measured at each start
        run.write("engine.json", {"valid_for": valid_for, "measured": kept})
    return found
