"""The formats that only TensorFlow writes: SavedModel and LiteRT.

A process of its own opens the `whole` model under TensorFlow and writes them (`tensors`); this one, which may
run Keras on torch, prepares what it needs.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tenfold.errors import ResourceError, TenfoldError
from tenfold.exporting.content import CARE, Content
from tenfold.exporting.whole import keras_file
from tenfold.runtimes import METADATA


def saved_model(content: Content, path: Path) -> None:
    """Writes a SavedModel, which plain TensorFlow and TensorFlow Serving load; see `tensors`.

    Args:
        content: what goes in.
        path: the folder. Its `assets.extra` holds labels.txt, a class a line, and the metadata.
    """
    _by_tensorflow(content, path, "saved_model")
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / "labels.txt").write_text("\n".join(content.class_names) + "\n", encoding="utf-8")
    (extra / METADATA).write_text(json.dumps(content.told, ensure_ascii=False), encoding="utf-8")


def litert_file(content: Content, path: Path) -> None:
    """Writes a LiteRT file (once TensorFlow Lite), float32, for a batch of any size.

    Args:
        content: what goes in.
        path: the file, ending in .tflite. At its end it is a zip archive of labels.txt and the metadata, as
            files with TensorFlow Lite's own metadata are.
    """
    _by_tensorflow(content, path, "litert")
    _labelled(content, path, {})


def litert_int8(content: Content, path: Path) -> None:
    """As `litert_file`, with the network up to its last dense layer in 8-bit integers.

    Weights are rounded in each channel, activations within the range that `content.rounding` gives them. The
    last layer, calibration and softmax stay in float32, where a step of an integer would change answers.
    With `content.careful` all activations do: what a convolution takes is rounded as it runs, within the
    range that it has then.
    """
    if content.careful:
        _by_tensorflow(content, path, "litert careful")
        _labelled(content, path, {"precision": "int8", **CARE})
        return
    rounding = content.images if content.rounding is None else content.rounding
    _by_tensorflow(replace(content, rounding=rounding), path, "litert int8")
    _labelled(content, path, {"precision": "int8", "calibration_pictures": str(len(rounding))})


def _labelled(content: Content, path: Path, more: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "\n".join(content.class_names) + "\n")
        archive.writestr(METADATA, json.dumps({**content.told, **more}, ensure_ascii=False))


def _by_tensorflow(content: Content, path: Path, kind: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keras_file(content, folder / "whole.keras")
        if content.rounding is not None:
            np.save(folder / "rounding.npy", content.rounding)
        job = {
            "kind": kind,
            "path": str(path),
            "class_names": content.class_names,
            "fit": content.facts.get("fit", "pad"),
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tenfold.exporting.tensors", name],
            env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode == -9:
        raise ResourceError(f"Not enough memory: the process that writes {kind} was ended. Free some.")
    if done.returncode:
        reason = _reason(done.stderr) or f"it ended with {done.returncode}"
        raise TenfoldError(
            f"Model {content.model.name!r} cannot be written by TensorFlow as {kind}: {reason} "
            "Use another format: --format onnx."
        )


def _reason(said: str) -> str:
    """The line of what the child said that names the fault; the converter prints a whole graph after it."""
    lines = [line.strip() for line in said.splitlines()]
    return next((line for line in lines if line.startswith("TF Select ops:")), lines[-1] if lines else "")
