"""Exported files, each opened in the runtime of its own format: as those will open it who are given it.

`engines` answers a run's pictures as fast as this machine can; here a file is opened by the library that its
format is made for. `python -m tenfold.runtimes FILE FORMAT FOLDER` answers the pictures in a folder in a
process of its own, which loads that one runtime and nothing else; the parity gate is made of it.
"""

import contextlib
import importlib.util
import json
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import engines
from tenfold.engines import Engine
from tenfold.errors import DataError, MissingExtraError, TenfoldError, UsageError, unknown

OUTPUTS = ("probabilities", "familiarity", "sure")
"""Names of a file's outputs, in their order; the last two only where they were asked for."""

METADATA = "tenfold.json"
"""What a file says about itself, where its format keeps files: text by name, as `Engine.metadata` has it."""

SINGLES = 10.0
"""Seconds for pictures one by one when a file is checked: all of them in most formats."""

_LEAST_SINGLES = 100

_Outputs = Callable[[np.ndarray], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Runtime:
    """What opens the files of a format.

    Attributes:
        suffix: of the files' names.
        packages: any one of these opens them; the first that is installed does.
        install: what `pip install` takes to get one.
    """

    suffix: str
    packages: tuple[str, ...]
    install: str
    _open: Callable[[Path, int | None], tuple[_Outputs, Mapping[str, str]]] = field(repr=False)

    @property
    def package(self) -> str | None:
        """The package that will open a file here, None where none is installed."""
        found = (name for name in self.packages if importlib.util.find_spec(name) is not None)
        return next(found, None)


def format_of(path: Path) -> str:
    """The format of a file, by its ending, or for a folder by what is in it.

    Raises:
        UsageError: neither tells.
    """
    for name, runtime in RUNTIMES.items():
        if path.suffix == runtime.suffix:
            return name
    if (path / "saved_model.pb").exists():
        return "saved_model"
    endings = ", ".join(runtime.suffix for runtime in RUNTIMES.values())
    raise UsageError(
        f"The ending of {path} tells no format. Expected: one of {endings}, or a folder with saved_model.pb. "
        f"Received: suffix={path.suffix!r}"
    )


def require(format: str) -> Runtime:
    """The runtime of a format.

    Raises:
        UsageError: there is no such format.
        MissingExtraError: no package that opens it is installed.
    """
    if format not in RUNTIMES:
        raise UsageError(unknown("format", format, RUNTIMES))
    runtime = RUNTIMES[format]
    if runtime.package is None:
        raise MissingExtraError(
            f"Opening {format} needs {' or '.join(runtime.packages)}. "
            f"Install it with: pip install '{runtime.install}'"
        )
    return runtime


def files(path: Path) -> list[Path]:
    """The files that an export consists of: more than one for OpenVINO and for a SavedModel."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix == RUNTIMES["openvino"].suffix and weights.exists() else [path]


def open_file(path: Path, format: str | None = None, threads: int | None = None) -> Engine:
    """Opens a file that `exporting` wrote.

    TensorFlow takes a number of threads once a process, and for torch and Keras it holds for the whole
    process: whoever compares numbers starts a process for each.

    Args:
        path: the file, or for a SavedModel its folder. Files of torch (.pt2) are read with pickle: open only
            those you trust.
        format: a key of `RUNTIMES`; by the file's ending when None.
        threads: to compute with; OMP_NUM_THREADS where set, else all cores, when None.

    Returns:
        A predict_fn with `metadata`; its `name` is the format.

    Raises:
        UsageError: no such format.
        MissingExtraError: its runtime is not installed.
        DataError: the file cannot be read, or was not written by Tenfold.
    """
    chosen = format or format_of(path)
    runtime = require(chosen)
    try:
        run, metadata = runtime._open(path, threads)
    except TenfoldError:
        raise
    except Exception as error:  # every runtime has errors of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise DataError(f"{path} cannot be opened as {chosen} by {runtime.package}: {reason}") from error
    return Engine(chosen, metadata.get("precision", "float32"), metadata, run)


def _onnx(path: Path, threads: int | None) -> tuple[_Outputs, Mapping[str, str]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or engines.threads()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images}), session.get_modelmeta().custom_metadata_map


def _openvino(path: Path, threads: int | None) -> tuple[_Outputs, Mapping[str, str]]:
    core = engines.core()
    model = core.read_model(path)
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it
        "INFERENCE_NUM_THREADS": threads or engines.threads(),
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()
    lock = threading.Lock()  # a request holds the buffers of one call

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        with lock:
            return request.infer([images], share_inputs=True).to_tuple()

    return run, {name: str(value.value) for name, value in model.get_rt_info()["framework"].items()}


def _litert(path: Path, threads: int | None) -> tuple[_Outputs, Mapping[str, str]]:
    interpreter = _interpreter()(model_path=str(path), num_threads=threads or engines.threads())
    runner = interpreter.get_signature_runner()
    lock = threading.Lock()

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        with lock:
            return _ordered(runner(image=images))

    return run, _from_zip(path)


def _interpreter() -> Any:
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    tensorflow = _tensorflow()

    def hushed(**options: Any) -> Any:
        with warnings.catch_warnings():  # that it will move to ai_edge_litert
            warnings.simplefilter("ignore")
            return tensorflow.lite.Interpreter(**options)

    return hushed


def _saved_model(path: Path, threads: int | None) -> tuple[_Outputs, Mapping[str, str]]:
    tensorflow = _tensorflow()
    if threads is not None:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    loaded = tensorflow.saved_model.load(str(path))

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        found = loaded.signatures["serving_default"](image=tensorflow.constant(images))
        return _ordered({name: value.numpy() for name, value in found.items()})

    return run, json.loads((path / "assets.extra" / METADATA).read_text(encoding="utf-8"))


def _tensorflow() -> Any:
    # TensorFlow imports Keras by itself where it is installed, and Keras its backend, which may be torch.
    with _absent("keras"):
        import tensorflow
    return tensorflow


@contextlib.contextmanager
def _absent(package: str) -> Iterator[None]:
    """As if a package, unless imported already, were not installed."""
    blocked = sys.modules.setdefault(package, None) is None  # type: ignore[arg-type]  # Python's own mark
    try:
        yield
    finally:
        if blocked:
            del sys.modules[package]


def _torch(path: Path, threads: int | None) -> tuple[_Outputs, Mapping[str, str]]:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    told = {METADATA: ""}
    program = torch.export.load(path, extra_files=told).module()

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            return [output.numpy() for output in program(torch.tensor(images))]

    return run, json.loads(told[METADATA])


def _keras(path: Path, threads: int | None) -> tuple[_Outputs, Mapping[str, str]]:
    from tenfold import models

    model = models.load(path)
    if threads is not None:
        import keras

        if keras.backend.backend() == "torch":
            import torch

            torch.set_num_threads(threads)
        elif keras.backend.backend() == "tensorflow":
            import tensorflow

            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        found = model.predict_on_batch(images)
        return _ordered(found if isinstance(found, dict) else {OUTPUTS[0]: found})

    return run, _from_zip(path)


def _ordered(outputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [outputs[name] for name in OUTPUTS if name in outputs]


def _from_zip(path: Path) -> Mapping[str, str]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(METADATA))


RUNTIMES: dict[str, Runtime] = {
    "onnx": Runtime(".onnx", ("onnxruntime",), "tenfold[export]", _onnx),
    "openvino": Runtime(".xml", ("openvino",), "tenfold[export]", _openvino),
    "litert": Runtime(".tflite", ("ai_edge_litert", "tensorflow"), "tenfold[litert]", _litert),
    "saved_model": Runtime(".savedmodel", ("tensorflow",), "tenfold[tensorflow]", _saved_model),
    "torch": Runtime(".pt2", ("torch",), "tenfold", _torch),
    "keras": Runtime(".keras", ("keras",), "tenfold", _keras),
}
"""The runtime of each format."""


def answer(path: Path, format: str, folder: Path) -> None:
    """Answers `pictures.npy` of a folder, 64 at a time and one by one, and leaves `answers.npz` there.

    Its arrays: `probabilities`, and `familiarity` where the file gives it, of all pictures, 64 at a time;
    `rows`, the pictures that were also answered one by one, evenly spread, as many as fit into `SINGLES`
    seconds; `singles`, their probabilities; `version` of what answered.
    """
    pictures = np.load(folder / "pictures.npy")
    opened, package = open_file(path, format), str(require(format).package)
    parts = [opened.observe(pictures[at : at + 64]) for at in range(0, len(pictures), 64)]
    # Every 64th picture, then the one after each of these, and so on: evenly spread wherever it ends.
    order = np.concatenate([np.arange(start, len(pictures), 64) for start in range(min(64, len(pictures)))])
    singles: list[np.ndarray] = []
    end = time.monotonic() + SINGLES
    for row in order:
        if len(singles) >= _LEAST_SINGLES and time.monotonic() > end:
            break
        singles.append(opened(pictures[row : row + 1])[0])
    arrays = {
        "probabilities": np.concatenate([part for part, _ in parts]),
        "rows": order[: len(singles)],
        "singles": np.stack(singles),
        "version": np.array(f"{package} {getattr(sys.modules[package], '__version__', '')}".strip()),
    }
    familiar = [part for _, part in parts if part is not None]
    if familiar:
        arrays["familiarity"] = np.concatenate(familiar)
    np.savez(folder / "answers.npz", **arrays)  # type: ignore[arg-type]  # NumPy means its one option


if __name__ == "__main__":
    answer(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
