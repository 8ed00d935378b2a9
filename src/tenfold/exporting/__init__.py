"""From a run to portable files, each checked on real pictures before it is kept.

A file takes uint8 pictures and gives probabilities; scaling, softmax, calibration and, where asked for,
test-time views are inside, and its metadata name the classes, so that it is of use without Tenfold.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tenfold import abstention, calibration, engines, models, runs, runtimes, splits, validation
from tenfold.errors import GateError, MissingExtraError, ResourceError, UsageError, unknown
from tenfold.exporting import gate
from tenfold.exporting.browser import html_file, html_int8, told
from tenfold.exporting.content import Content
from tenfold.exporting.flow import litert_file, litert_int8, saved_model
from tenfold.exporting.gate import Parity
from tenfold.exporting.graph import NEEDED, onnx, onnx_file
from tenfold.exporting.integers import int8, onnx_int8
from tenfold.exporting.program import torch_file
from tenfold.exporting.representation import openvino_files, openvino_int8
from tenfold.exporting.whole import keras_file

__all__ = ["FORMATS", "Content", "Exported", "Format", "Parity", "export", "exports", "int8", "onnx"]

_ROUNDING = 512  # training pictures for the ranges of int8


@dataclass(frozen=True)
class Format:
    """How files of a format are written.

    Attributes:
        suffix: of their names.
        write: takes what goes in and the path to write to.
        rounded: the same in 8-bit integers; None where the format has none.
        needs: packages that write it.
        extra: the optional part of Tenfold that brings them.
        gated: False where `write` itself compares the file with the model, in the program it is made for.
    """

    suffix: str
    write: Callable[[Content, Path], None]
    rounded: Callable[[Content, Path], None] | None = None
    needs: tuple[str, ...] = ()
    extra: str = "export"
    gated: bool = True


_SUFFIXES = {name: runtime.suffix for name, runtime in runtimes.RUNTIMES.items()}
_OPENVINO, _TENSORFLOW = (*NEEDED, "openvino"), ("tensorflow",)


FORMATS: dict[str, Format] = {
    "onnx": Format(_SUFFIXES["onnx"], onnx_file, onnx_int8, NEEDED),
    "openvino": Format(_SUFFIXES["openvino"], openvino_files, openvino_int8, _OPENVINO),
    "litert": Format(_SUFFIXES["litert"], litert_file, litert_int8, _TENSORFLOW, "tensorflow"),
    "saved_model": Format(_SUFFIXES["saved_model"], saved_model, None, _TENSORFLOW, "tensorflow"),
    "torch": Format(_SUFFIXES["torch"], torch_file),
    "keras": Format(_SUFFIXES["keras"], keras_file),
    "html": Format(".html", html_file, html_int8, NEEDED, gated=False),
}
"""Formats by name."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file, or for a SavedModel its folder.
        parity: how its answers compare with the model's; None where writing it already compared them.
    """

    path: Path
    parity: Parity | None


def export(
    run: runs.Run,
    format: str = "onnx",
    *,
    views: str = "none",
    precision: str = "float32",
    max_error: float | None = None,
    path: Path | None = None,
) -> Path:
    """Writes a run's model as one ONNX file for the engines of this machine, or as any other of `FORMATS`.

    ONNX is compared with the model by those engines, in this process, on the few pictures that the run keeps:
    a run's first predictions wait for it. `exports` has the whole gate, and other formats go through it.

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
    _known(format, precision)
    if format != "onnx":
        made = exports(run, [format], views=views, precision=precision, max_error=max_error, path=path)
        return next(iter(made)).path
    target = _target(run, format, views, "float32")
    if path is not None and precision == "float32":
        target = path
    onnx_file(_content(run, engines.sample(run), views, max_error), target)
    if precision == "float32":
        return target
    parts = splits.read_again(run)
    return int8(
        target,
        path or _target(run, format, views, precision),
        calibration=_rounding(parts),
        images=gate.held(run, parts).images,
    )


def exports(
    run: runs.Run,
    formats: Sequence[str],
    *,
    views: str = "none",
    precision: str = "float32",
    max_error: float | None = None,
    path: Path | None = None,
) -> Iterator[Exported]:
    """Writes a run's model in several formats, each compared with it on held pictures before it is kept.

    The pictures are up to `gate.HELD` of validation (of training where the run has none; the few that the run
    keeps where its data are not at hand), answered by the file in the runtime of its format, in a process of
    its own. The figures go to `exports/parity.json` of the run. A file that misses its bounds is not kept,
    and what was there before stays.

    Args:
        run: a finished run.
        formats: keys of `FORMATS`.
        views, max_error: as for `export`.
        precision: "float32", or "int8" for ONNX, OpenVINO and LiteRT, with ranges from training pictures.
        path: where to, for one format; `exports/` of the run when None.

    Returns:
        The files one after another, as each is finished.

    Raises:
        UsageError, MissingExtraError, DataError, GateError: as `export`.
    """
    for name in formats:
        _known(name, precision)
    if path is not None and len(formats) != 1:
        raise UsageError(
            f"One path takes one format. Expected: a single format, or no path. Received: path={path}, "
            f"formats={', '.join(formats)}"
        )
    return _exports(run, list(dict.fromkeys(formats)), views, precision, max_error, path)


def _exports(
    run: runs.Run, formats: list[str], views: str, precision: str, max_error: float | None, path: Path | None
) -> Iterator[Exported]:
    parts = splits.read_again(run) if precision == "int8" else None
    held = gate.held(run, parts)
    content = _content(run, held.images, views, max_error)
    if parts is not None:
        content = replace(content, rounding=_rounding(parts))
    model = gate.expected(content, held.images)
    # int8 throughout where that changes few answers, else of a kind that changes fewer.
    forms = [content, replace(content, careful=True)] if precision == "int8" else [content]
    for name in formats:
        target = path or _target(run, name, views, precision)
        with _replacing(target) as temporary:
            parity = _written(forms, temporary, name, precision, model, held)
        if parity is not None:
            gate.record(run, target, parity)
        yield Exported(target, parity)


def _written(
    forms: Sequence[Content], path: Path, name: str, precision: str, model: gate.Answers, held: gate.Held
) -> Parity | None:
    """Writes the first of `forms` that passes the gate; the last one raises GateError if it does not."""
    known = FORMATS[name]
    write = known.write if precision == "float32" else known.rounded
    first, *others = forms
    try:
        write(first, path)  # type: ignore[misc]  # `_known` has seen that there is one
        return gate.check(path, name, precision, model, held) if known.gated else None
    except GateError:
        if not others:
            raise
    return _written(others, path, name, precision, model, held)


def _known(format: str, precision: str) -> None:
    if format not in FORMATS:
        raise UsageError(unknown("format", format, FORMATS))
    if precision not in ("float32", "int8"):
        raise UsageError(unknown("precision", precision, ("float32", "int8")))
    if precision == "int8" and FORMATS[format].rounded is None:
        able = ", ".join(name for name, known in FORMATS.items() if known.rounded is not None)
        raise UsageError(
            f"{format} has no int8. Expected: one of {able}. Received: format={format}, precision=int8"
        )
    known = FORMATS[format]
    if missing := [name for name in known.needs if importlib.util.find_spec(name) is None]:
        raise MissingExtraError(
            f"Writing {format} needs {', '.join(missing)}. "
            f"Install it with: pip install 'tenfold[{known.extra}]'"
        )


def _target(run: runs.Run, format: str, views: str, precision: str) -> Path:
    parts = ["model", *([views] if views != "none" else []), *([precision] if precision == "int8" else [])]
    return run.path / "exports" / f"{'-'.join(parts)}{FORMATS[format].suffix}"


def _content(run: runs.Run, images: np.ndarray, views: str, max_error: float | None) -> Content:
    facts = {
        "class_names": json.dumps(run.class_names, ensure_ascii=False),
        "image_size": str(run.data["image_size"]),
        "fit": run.config.fit,
        "source_sha256": engines.digest(run.model_path),
        **told(run),
    }
    return Content(
        models.load(run.model_path),
        images,
        facts,
        views,
        calibration.calibrator(run.calibration),
        abstention.familiarity(run.calibration),
        None if max_error is None else validation.sure_enough(run, max_error).confidence,
    )


def _rounding(parts: splits.Parts) -> np.ndarray:
    return parts.train.images[gate.spread(len(parts.train), _ROUNDING)]


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path of the same name in a folder of its own; what is there when the block ends well goes to `path`.

    So a file of several parts has their final names from the start, and nothing of it is left if not.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            yield Path(folder) / path.name
            for made in Path(folder).iterdir():
                target = path.parent / made.name
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                os.replace(made, target)
    except OSError as error:
        raise ResourceError(f"Cannot write {path}: {error.strerror}. Free or unlock it.") from error
