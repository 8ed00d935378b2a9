"""A run's model, opened to answer: as an exported file on the fastest engine, or in Keras."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from tenfold import engines, selection
from tenfold.abstention import familiarity
from tenfold.calibration import calibrator
from tenfold.errors import DataError, TenfoldError, UsageError, unknown
from tenfold.runs import Run
from tenfold.selection import Precision
from tenfold.validation import ObserveFn


@dataclass(frozen=True)
class Answerer:
    """What computes the answers.

    Attributes:
        engine: "openvino", "onnxruntime" or "keras".
        precision: "float32", "bfloat16" or "int8".
        reason: a sentence that says why this one.
        observe: uint8 (n, h, w, 3), n from 1, to calibrated probabilities (n, classes) and familiarity (n,).
    """

    engine: str
    precision: str
    reason: str
    observe: ObserveFn = field(repr=False)

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """The probabilities alone."""
        return self.observe(pictures)[0]


def answerer(run: Run, engine: str = "auto", precision: Precision = "auto") -> Answerer:
    """Opens the model of a run; see `Predictor` for the arguments and the errors."""
    if engine not in ("auto", "keras", *engines.ENGINES):
        raise UsageError(unknown("engine", engine, ("auto", "keras", *engines.ENGINES)))
    if precision not in get_args(Precision):
        raise UsageError(unknown("precision", precision, get_args(Precision)))
    if engine == "keras":
        if precision == "int8":
            raise UsageError(
                "Keras does not answer in int8. Expected: --engine auto, openvino or onnxruntime. "
                "Received: engine=keras, precision=int8"
            )
        return _keras(run, "Keras, as asked for.")
    try:
        return on_engine(run, engine, precision)
    except DataError:  # Keras could not read it either
        raise
    except TenfoldError as error:
        if engine != "auto" or precision == "int8":
            raise
        return _keras(run, f"Keras, as no engine can be used. {error}")


def on_engine(
    run: Run, engine: str = "auto", precision: Precision = "auto", *, shared: bool = False
) -> Answerer:
    """Opens the exported file of a run, writing it first where there is none of this model; never Keras.

    See `Predictor` for the arguments and errors, with MissingExtraError where no engine is installed, and
    `engines.open_file` for `shared`.
    """
    int8 = _written(run, "int8") if precision == "int8" else None
    path = _written(run)
    found = selection.choose(
        path, engines.sample(run), engine=engine, precision=precision, int8=int8, run=run
    )
    opened = engines.open_file(int8 or path, found.engine, found.precision, shared=shared)
    reason = (
        f"{found.engine} in {found.precision}, {found.images_per_second:,.0f} images/s when measured, "
        f"probabilities within {found.difference:.1g} of float32"
        f"{f', the same class for {found.agreement:.1%}' if found.precision != 'float32' else ''}."
    )
    return Answerer(found.engine, found.precision, reason, opened.observe)


def exported(run: Run, precision: str = "float32") -> Path | None:
    """The run's ONNX file in float32 or int8; None where there is none of this very model and calibration."""
    path = _place(run, precision)
    try:
        told = engines.metadata(path)
        wanted = {
            "source_sha256": engines.digest(run.model_path),
            "calibration": str(calibrator(run.calibration)),
        }
    except DataError:  # none, or damaged
        return None
    return path if all(told.get(key) == value for key, value in wanted.items()) else None


def _place(run: Run, precision: str) -> Path:
    return run.path / "exports" / ("model.onnx" if precision == "float32" else f"model-{precision}.onnx")


def _written(run: Run, precision: str = "float32") -> Path:
    """The run's ONNX file, written anew where it is missing or old."""
    found = exported(run, precision)
    if found is None:
        from tenfold import exporting

        exporting.export(run, precision=precision)
    return found or _place(run, precision)


def _keras(run: Run, reason: str) -> Answerer:
    from tenfold import models

    config = run.config
    model = models.load_fast(run.model_path, config.model, config.model_options)
    look = models.observe_fn(model)
    calibrate, known = calibrator(run.calibration), familiarity(run.calibration)

    def observe(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        probabilities, features = look(pictures)
        familiar = None if known is None or features is None else known(features)
        return calibrate(probabilities), familiar

    return Answerer("keras", "float32", reason, observe)
