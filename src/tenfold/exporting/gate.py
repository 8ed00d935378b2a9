"""The parity gate: a file answers held pictures as the model does, or it is not kept.

The file is opened in the runtime of its own format, in a process of its own that holds nothing of the model,
and answers the pictures 64 at a time and one by one.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import engines, models, runtimes, splits
from tenfold.errors import DataError, GateError, ResourceError
from tenfold.exporting.content import Content
from tenfold.runs import Run
from tenfold.views import apply, mean

HELD = 2048
"""Pictures that a file answers, where there are so many."""

BOUND = 1e-4
"""Largest difference of a probability, or a familiarity, from the model's that a float32 file may show."""

SAME_IN_INT8 = 0.99
"""Least share of pictures to which an int8 file must give the class that the model gives."""

LOST_IN_INT8 = 0.005
"""Share of right answers that an int8 file may lose at most."""


@dataclass(frozen=True)
class Held:
    """Pictures to compare answers on.

    Attributes:
        images: uint8 (n, h, w, 3).
        labels: int (n,), the true classes; None where they are not known.
        split: "validation" or "train"; "kept" for the few that a run keeps, where its data are not at hand.
    """

    images: np.ndarray
    labels: np.ndarray | None
    split: str


@dataclass(frozen=True)
class Answers:
    """What a file or a model says about n pictures.

    Attributes:
        probabilities: float32 (n, classes).
        familiarity: float32 (n,), None where none is given.
        rows: int (m,), the pictures that a file also answered one by one; None for a model.
        singles: float32 (m, classes), these answers.
        runtime: what answered, such as "onnxruntime 1.31.1".
    """

    probabilities: np.ndarray
    familiarity: np.ndarray | None = None
    rows: np.ndarray | None = None
    singles: np.ndarray | None = None
    runtime: str = ""


@dataclass(frozen=True)
class Parity:
    """How a file's answers compare with the model's, as `parity.json` has it.

    Attributes:
        format: the file's format.
        precision: "float32" or "int8".
        runtime: what answered, with its version.
        split: where the pictures are from; see `Held`.
        pictures: how many were answered 64 at a time.
        agreement: share of them with the model's class, 0 to 1. In float32, classes whose probabilities lie
            within twice `BOUND` of the highest count as good as it.
        difference: the largest difference of a probability.
        singles: how many were also answered one by one.
        singles_agreement, singles_difference: the same for these.
        familiarity_difference: the largest, None where the file gives none.
        accuracy, model_accuracy: share of right answers of the file and of the model, 0 to 1; None where the
            true classes are not known.
        sha256: of the file, or over the files it consists of.
        bytes: of it or them.
    """

    format: str
    precision: str
    runtime: str
    split: str
    pictures: int
    agreement: float
    difference: float
    singles: int
    singles_agreement: float
    singles_difference: float
    familiarity_difference: float | None
    accuracy: float | None
    model_accuracy: float | None
    sha256: str
    bytes: int

    def __str__(self) -> str:
        of = {"kept": "pictures that the run keeps, as its data are not here"}
        return (
            f"the model's class for {self.agreement:.2%} of {self.pictures:,} "
            f"{of.get(self.split, f'{self.split} pictures')} in {self.runtime}, {self.singles:,} of them "
            f"also one by one; probabilities within {max(self.difference, self.singles_difference):.2g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def held(run: Run, parts: splits.Parts | None = None) -> Held:
    """The pictures of a run to check files on: of validation, or of training where it has no validation.

    Args:
        run: the run.
        parts: its pictures, where they have been read already.

    Raises:
        GateError: its data are gone, and it keeps no pictures either.
    """
    try:
        parts = parts or splits.read_again(run)
    except DataError:
        return Held(engines.sample(run), None, "kept")
    name, part = ("train", parts.train) if parts.validation is None else ("validation", parts.validation)
    rows = spread(len(part), HELD)
    return Held(part.images[rows], part.labels[rows], name)


def spread(count: int, most: int) -> np.ndarray:
    """At most so many rows, evenly spread, so that sets sorted by class give some of each."""
    return np.unique(np.linspace(0, count - 1, most).astype(int))


def expected(content: Content, images: np.ndarray) -> Answers:
    """What the model says, with calibration and views."""
    observe = models.observe_fn(content.model)
    looks = [observe(apply(images, view)) for view in content.view_set]
    answers = [content.calibrator(probabilities) for probabilities, _ in looks]
    features = looks[0][1]
    familiar = None if content.known is None or features is None else content.known(features)
    return Answers(answers[0] if len(answers) == 1 else mean(answers, content.view_set), familiar)


def ask(path: Path, format: str, images: np.ndarray) -> Answers:
    """What a file says, in its own runtime and a process of its own.

    Raises:
        MissingExtraError: its runtime is not installed.
        GateError: the runtime cannot answer with it.
    """
    package = runtimes.require(format).package
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "pictures.npy", images)
        done = subprocess.run(
            [sys.executable, "-m", "tenfold.runtimes", str(path), format, folder],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode == -9:
            raise ResourceError(
                f"Not enough memory: {package}, which checks {path.name}, was ended. Free some."
            )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
            raise GateError(
                f"{path.name} does not answer in {package}, so it is not kept: {reason} "
                "Use another --format, and report this, please."
            )
        with np.load(Path(folder) / "answers.npz") as found:
            return Answers(
                found["probabilities"],
                found.get("familiarity"),
                found["rows"],
                found["singles"],
                str(found["version"]),
            )


def check(path: Path, format: str, precision: str, model: Answers, held: Held) -> Parity:
    """Asks a file and compares.

    Args:
        path: the file.
        format: its format.
        precision: "float32" or "int8".
        model: what the model says about the same pictures.
        held: the pictures.

    Raises:
        GateError: the file's answers differ by more than this precision may. MissingExtraError: as `ask`.
    """
    found = ask(path, format, held.images)
    tie = 0.0 if precision == "int8" else 2 * BOUND
    rows = np.zeros(0, int) if found.rows is None else found.rows
    reference = model.probabilities
    alone = found.probabilities[:0] if found.singles is None else found.singles
    difference, agreement = compare(reference, found.probabilities, tie)
    singles_difference, singles_agreement = compare(reference[rows], alone, tie)
    familiar = None
    if model.familiarity is not None:
        given = np.full(len(reference), np.nan) if found.familiarity is None else found.familiarity
        familiar = float(np.abs(given - model.familiarity).max())
    parity = Parity(
        format,
        precision,
        found.runtime,
        held.split,
        len(reference),
        agreement,
        difference,
        len(rows),
        singles_agreement,
        singles_difference,
        familiar,
        _accuracy(found.probabilities, held.labels),
        _accuracy(reference, held.labels),
        digest(path),
        sum(file.stat().st_size for file in runtimes.files(path)),
    )
    _pass(path, parity)
    return parity


def compare(reference: np.ndarray, answers: np.ndarray, tie: float = 0.0) -> tuple[float, float]:
    """The largest difference of a probability, and the share of rows with the same most probable class.

    Args:
        reference, answers: (n, classes), n from 0.
        tie: classes whose probabilities in `reference` are this near the highest one are as good as it.
    """
    if not len(reference):
        return 0.0, 1.0
    chosen = np.take_along_axis(reference, answers.argmax(axis=1)[:, None], axis=1)[:, 0]
    same = answers.argmax(axis=1) == reference.argmax(axis=1)
    same |= (chosen >= reference.max(axis=1) - tie) & (tie > 0)
    return float(np.abs(reference - answers).max()), float(same.mean())


def _accuracy(probabilities: np.ndarray, labels: np.ndarray | None) -> float | None:
    return None if labels is None else float((probabilities.argmax(axis=1) == labels).mean())


def _pass(path: Path, parity: Parity) -> None:
    agreement = min(parity.agreement, parity.singles_agreement)
    others = (parity.singles_difference, parity.familiarity_difference or 0.0)
    difference = float(np.max((parity.difference, *others)))  # nan where one is nan
    lost = (parity.model_accuracy or 0.0) - (parity.accuracy or 0.0)
    if parity.precision == "int8":
        good = agreement >= SAME_IN_INT8 and lost <= LOST_IN_INT8
        wanted = f"the same class for {SAME_IN_INT8:.0%} or more, at most {LOST_IN_INT8:.1%} of accuracy lost"
        mend = "Use --precision float32."
    else:
        good = agreement == 1 and difference <= BOUND
        wanted = f"the same class for all of them, probabilities within {BOUND}"
        mend = "Use --engine keras, the model itself, and report this, please."
    if not good:
        raise GateError(
            f"{path.name} answers {parity.pictures:,} pictures otherwise than the model, so it is not kept. "
            f"Expected: {wanted}. Received: the same class for {agreement:.2%}, difference={difference:.4g}, "
            f"{lost:.2%} of accuracy lost, in {parity.runtime}. {mend}"
        )


def digest(path: Path) -> str:
    """SHA-256 of a file; where it consists of several, over their names and their own hashes."""
    files = runtimes.files(path)
    if files == [path]:
        return engines.digest(path)
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.relative_to(path.parent).as_posix()} {engines.digest(file)}\n".encode())
    return whole.hexdigest()


def record(run: Run, path: Path, parity: Parity) -> None:
    """Keeps the figures in the run's `exports/parity.json`: by name, or by whole path for files elsewhere."""
    inside = path.parent.resolve() == (run.path / "exports").resolve()
    known = recorded(run)
    known[path.name if inside else str(path.resolve())] = parity.to_dict()
    run.write("exports/parity.json", known)


def recorded(run: Run) -> dict[str, Any]:
    """What `exports/parity.json` holds, by file; empty where there is none that can be read."""
    try:
        found = json.loads((run.path / "exports" / "parity.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, Mapping) else {}
