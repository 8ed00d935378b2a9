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
from typing import Literal

import numpy as np

from tenfold import engines, machine, runs
from tenfold.engines import BATCH, compare
from tenfold.errors import GateError, ResourceError, UsageError, unknown

Precision = Literal["auto", "float32"]

# The largest difference of a probability from float32 that an engine may show. Engines in float32 differ by
# their order of adding, about 1e-6. In bfloat16 the 256 pictures that a run of `fast` keeps moved by 0.014 at
# most and its 5,000 validation pictures by 0.021, with the same answer for 99.8 %; pictures of the classics,
# trained without label smoothing, moved by up to 0.05, so that those answer in float32.
BOUNDS = {"float32": 1e-4, "bfloat16": 0.02}
SAME_ANSWER = 0.995
"""Share of the pictures whose most probable class must be that of float32."""


@dataclass(frozen=True)
class Measurement:
    """How one engine did on one file.

    Attributes:
        engine: a name of `engines.ENGINES`.
        precision: "float32" or "bfloat16".
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
        return self.difference <= BOUNDS[self.precision] and self.agreement >= SAME_ANSWER


def measure(path: Path, images: np.ndarray, *, batch: int = BATCH, seconds: float = 1.0) -> list[Measurement]:
    """Runs a file on every engine and precision at hand, in turn, so that all share a busy machine's moods.

    Args:
        path: the file.
        images: uint8 (n, h, w, 3), real pictures, a few hundred; noise would not show near ties.
        batch: pictures a call to time.
        seconds: for timing, in all; each is called at least once after a first call that does not count.

    Raises:
        MissingExtraError: no engine is installed.
        DataError: the file cannot be read as a model.
    """
    opened = [
        engines.open_file(path, name, kind)
        for name in engines.available() or engines.ENGINES
        for kind in engines.precisions(name)
    ]
    reference = opened[0](images)  # float32, as the first of `precisions`
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
    run: runs.Run | None = None,
) -> Measurement:
    """The fastest engine for a file whose answers stay within the bounds.

    With `run`, all that was measured is kept in its `engine.json`, and holds until the file, the machine, its
    threads or a version changes.

    Args:
        path: the file.
        images: as for `measure`.
        engine: a name of `engines.ENGINES`, or "auto" for any.
        precision: "float32", or "auto" for any.
        batch: pictures a call: 1 for the quickest single answer.
        run: where to remember.

    Raises:
        UsageError: no such engine or precision.
        MissingExtraError: the engine is not installed.
        GateError: none stays within the bounds.
    """
    if precision not in ("auto", "float32"):
        raise UsageError(unknown("precision", precision, ("auto", "float32")))
    if engine != "auto":
        engines.require(engine)
    measured = _measured(path, images, batch, run)
    asked = [
        one for one in measured if engine in ("auto", one.engine) and precision in ("auto", one.precision)
    ]
    good = [one for one in asked if one.good]
    if not good:
        nearest = min(asked, key=lambda one: one.difference)
        raise GateError(
            f"No engine's answers for {path} stay within the bound. Expected: probabilities within "
            f"{BOUNDS[nearest.precision]} of float32. Received: difference={nearest.difference:.4g} by "
            f"{nearest.engine}, agreement={nearest.agreement:.1%}. Use --engine keras."
        )
    return max(good, key=lambda one: one.images_per_second)


def _measured(path: Path, images: np.ndarray, batch: int, run: runs.Run | None) -> list[Measurement]:
    if run is None:
        return measure(path, images, batch=batch)
    valid_for = {
        "file": engines.digest(path),
        "processor": machine.processor(),
        "threads": engines.threads(),
        "versions": {name: importlib.metadata.version(name) for name in ("tenfold", *engines.available())},
    }
    try:
        known = json.loads((run.path / "engine.json").read_text(encoding="utf-8"))
        kept = known["measured"] if known["valid_for"] == valid_for else {}
        if str(batch) in kept:
            return [Measurement(**one) for one in kept[str(batch)]]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or not by this version
        kept = {}
    found = measure(path, images, batch=batch)
    kept[str(batch)] = [dataclasses.asdict(one) for one in found]
    with contextlib.suppress(ResourceError):  # a run on a read-only disk is measured at each start
        run.write("engine.json", {"valid_for": valid_for, "measured": kept})
    return found
