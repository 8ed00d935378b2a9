"""A teacher: an earlier run whose answers a smaller network learns along with the labels.

The answers say more than the labels do: how much of a cat there is in this dog. They are computed on the very
pictures that the student sees, cropped and mirrored as these are, so that the student learns the function and
not a list of answers.

Sources: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531); Beyer et
al., "Knowledge distillation: A good teacher is patient and consistent" (arXiv:2106.05237).
"""

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tenfold import augmentation, engines, machine, models
from tenfold.calibration import calibrator, scaled
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.errors import DataError, TenfoldError
from tenfold.runs import Run, open_run
from tenfold.views import PredictFn

FILE = "teacher.json"
"""What a student's run knows of its teacher."""

_SAMPLE = 64  # pictures to compare the teacher's exported form on with the teacher itself


@dataclass(frozen=True)
class Teacher:
    """Turns the targets of a batch into what a student learns; `opened` gives one.

    Attributes:
        size: side in pixels of the pictures it takes.
        columns: int (classes,), for each class of the student the teacher's own, matched by name.
        share: of its answer in the target, above 0, up to 1.
        temperature: its answers are softened by; 1 leaves them.
    """

    size: int
    columns: np.ndarray
    share: float
    temperature: float
    _answer: PredictFn = field(repr=False)

    def __call__(self, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The targets mixed with the answers.

        Args:
            images: uint8 (n, side, side, 3), as the student will see them, but for small pictures in their
                full size.
            targets: float32 (n, classes), shares of the classes that the labels give.

        Returns:
            float32 (n, classes); each row has the sum that it had.
        """
        if images.shape[1] != self.size:
            images = augmentation.shrink(images, self.size)
        known = self._answer(images)[:, self.columns]
        known = known / np.maximum(known.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        soft = scaled(known, self.temperature)
        return ((1 - self.share) * targets + self.share * soft).astype(np.float32)


def check(settings: Config, pictures: Dataset) -> None:
    """That the settings' teacher, where they name one, can teach these pictures' classes.

    Raises:
        UsageError: there is no run at its path.
        DataError: it has no model, or does not know all of the classes.
    """
    if settings.teacher is not None:
        run = open_run(settings.teacher)
        _columns(run.class_names, pictures.class_names, run.path)
        engines.digest(run.model_path)


def invite(run: Run, settings: Config, pictures: Dataset) -> None:
    """Copies the settings' teacher, where they name one, into a run, in the form that answers fastest here.

    So the run goes on with the same teacher whatever becomes of the first one's folder. That form is decided
    by what there is, not by a measurement, so that the same settings teach the same: ONNX on an engine, in
    bfloat16 where the student trains in it; Keras where there is no engine, or an accelerator for it.

    Args:
        run: the student's.
        settings: resolved.
        pictures: of the student.

    Raises:
        UsageError, DataError: as `check`. ResourceError: no space.
    """
    if settings.teacher is None:
        return
    first = open_run(settings.teacher)
    config = first.config
    told: dict[str, Any] = {
        "run": str(first.path.resolve()),
        "model_sha256": engines.digest(first.model_path),
        "class_names": list(first.class_names),
        "image_size": first.data["image_size"],
        "model": config.model,
        "model_options": dict(config.model_options),
        "calibration": calibrator(first.calibration).to_dict(),
    }
    (run.path / "state").mkdir(parents=True, exist_ok=True)
    with run.replacing("state/teacher.keras") as path:
        shutil.copyfile(first.model_path, path)
    run.write(FILE, told | _exported(run, told, pictures, settings.precision))


def opened(run: Run, settings: Config, pictures: Dataset) -> Teacher | None:
    """The teacher of a run, as `invite` left it; None where the settings name none.

    Raises:
        DataError: its files are gone or damaged. MissingExtraError: its engine is not installed any more.
    """
    if settings.teacher is None:
        return None
    try:
        told = json.loads((run.path / FILE).read_text(encoding="utf-8"))
        columns = _columns(tuple(told["class_names"]), pictures.class_names, run.path / FILE)
        answer = _answering(run, told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The teacher in {run.path} cannot be read ({error}). Expected: {FILE} and state/ as training "
            "wrote them. Train the run anew."
        ) from None
    return Teacher(told["image_size"], columns, settings.distillation, settings.temperature, answer)


@contextlib.contextmanager
def visiting(settings: Config, pictures: Dataset) -> Iterator[Teacher | None]:
    """The settings' teacher for steps that leave no run; None where they name none."""
    if settings.teacher is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tenfold-teacher-") as folder:
        run = Run(Path(folder))
        invite(run, settings, pictures)
        yield opened(run, settings, pictures)


def described(run: Run, teacher: Teacher, pictures: Dataset) -> str:
    """Who teaches and how fast, measured on a batch, in a sentence for the user."""
    told = json.loads((run.path / FILE).read_text(encoding="utf-8"))
    batch = pictures.images[: engines.BATCH]
    nothing = np.zeros((len(batch), len(teacher.columns)), np.float32)
    teacher(batch, nothing)  # the first call prepares
    start = time.perf_counter()
    teacher(batch, nothing)
    speed = len(batch) / (time.perf_counter() - start)
    return (
        f"Teacher: {told['run']}, on {told['engine']} in {told['precision']}, {speed:,.0f} images/s when "
        "alone; it takes turns with the student."
    )


def _columns(known: tuple[str, ...], wanted: tuple[str, ...], where: Path) -> np.ndarray:
    """The place of each wanted class among the known ones."""
    if missing := [name for name in wanted if name not in known]:
        raise DataError(
            f"The teacher in {where} does not know all classes of these pictures. Expected: "
            f"{', '.join(wanted[:20])}. Received: a teacher without {', '.join(missing[:20])}. "
            "Choose another --teacher, trained on these classes."
        )
    return np.array([known.index(name) for name in wanted])


def _exported(run: Run, told: dict[str, Any], pictures: Dataset, precision: str) -> dict[str, str]:
    """Writes the teacher's ONNX form where that will answer; says what will."""
    from tenfold.exporting import onnx  # here: training without a teacher does without it

    by_keras = {"engine": "keras", "precision": "float32"}
    if keras.backend.backend() != "torch" or machine.accelerator() or not engines.available():
        return by_keras
    engine = engines.available()[0]
    short = precision == "mixed_bfloat16" and "bfloat16" in engines.precisions(engine)
    sample = pictures.images[:: max(1, len(pictures) // _SAMPLE)][:_SAMPLE]
    if sample.shape[1] != told["image_size"]:
        sample = augmentation.shrink(sample, told["image_size"])
    try:
        onnx(
            models.load(run.path / "state" / "teacher.keras"),
            run.path / "state" / "teacher.onnx",
            images=sample,
            calibrator=calibrator(told["calibration"]),
        )
    except DataError:  # Keras could not read it either
        raise
    except TenfoldError:  # a model that cannot be written as ONNX, or nothing installed that writes it
        return by_keras
    return {"engine": engine, "precision": "bfloat16" if short else "float32"}


def _answering(run: Run, told: dict[str, Any]) -> PredictFn:
    state = run.path / "state"
    if told["engine"] != "keras":
        return engines.open_file(state / "teacher.onnx", told["engine"], told["precision"])
    model = models.load_fast(state / "teacher.keras", told["model"], told["model_options"])
    return models.predict_fn(model, calibrator=calibrator(told["calibration"]))
