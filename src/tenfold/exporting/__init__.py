"""From a run to one portable file, checked on real pictures before it is kept.

A file takes uint8 pictures and gives probabilities; scaling, softmax, calibration and, where asked for,
test-time views are inside, and its metadata name the classes, so that it is of use without Tenfold.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tenfold import abstention, calibration, engines, models, runs, splits, validation
from tenfold.errors import UsageError, unknown
from tenfold.exporting.graph import onnx
from tenfold.exporting.integers import int8

__all__ = ["FORMATS", "export", "int8", "onnx"]

_CALIBRATION, _HELD = 512, 2048  # training pictures for the ranges of int8; pictures to check it on, at most

FORMATS: dict[str, Callable[..., Path]] = {"onnx": onnx}
"""Formats by name. Each is written by a function that takes what `onnx` takes."""


def export(
    run: runs.Run,
    format: str = "onnx",
    *,
    views: str = "none",
    precision: str = "float32",
    max_error: float | None = None,
    path: Path | None = None,
) -> Path:
    """Writes a run's model as a file of some format.

    Args:
        run: a finished run.
        format: a key of `FORMATS`.
        views: test-time views to put inside: a key of `views.VIEWS`.
        precision: "float32", or "int8" as in `int8`; the float32 file is then written to `exports/` too.
        max_error: the file also tells which answers to withhold, so that at most this share of the others is
            wrong, by the run's validation pictures; 0 to 1, None for no such output.
        path: where to; `exports/` of the run when None.

    Returns:
        The file's path.

    Raises:
        UsageError: no such format, views or precision, or Keras runs on a backend that cannot write it.
        MissingExtraError: the packages that write it are not installed.
        DataError: the run's model cannot be read, or for int8 its pictures, or for `max_error` its answers
            to validation pictures.
        GateError: the file's answers differ from the model's, or there are no pictures to compare them on, or
            no confidence leaves as few wrong answers as `max_error`.
    """
    if format not in FORMATS:
        raise UsageError(unknown("format", format, FORMATS))
    if precision not in ("float32", "int8"):
        raise UsageError(unknown("precision", precision, ("float32", "int8")))
    target = run.path / "exports" / f"model{'' if views == 'none' else f'-{views}'}.{format}"
    if path is not None and precision == "float32":
        target = path
    images = engines.sample(run)
    facts = {
        "class_names": json.dumps(run.class_names, ensure_ascii=False),
        "image_size": str(run.data["image_size"]),
        "fit": run.config.fit,
        "source_sha256": engines.digest(run.model_path),
    }
    FORMATS[format](
        models.load(run.model_path),
        target,
        images=images,
        facts=facts,
        views=views,
        calibrator=calibration.calibrator(run.calibration),
        known=abstention.familiarity(run.calibration),
        sure_from=None if max_error is None else validation.sure_enough(run, max_error).confidence,
    )
    if precision == "float32":
        return target
    parts = splits.read_again(run)
    held = parts.train if parts.validation is None else parts.validation
    return int8(
        target,
        path or target.with_stem(f"{target.stem}-int8"),
        calibration=_spread(parts.train.images, _CALIBRATION),
        images=_spread(held.images, _HELD),
    )


def _spread(images: np.ndarray, most: int) -> np.ndarray:
    """At most so many pictures, evenly spread, so that sets sorted by class give some of each."""
    return images[np.unique(np.linspace(0, len(images) - 1, most).astype(int))]
