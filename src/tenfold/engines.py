"""Inference engines: an exported ONNX file as a predict_fn.

A process that only answers imports neither Keras nor torch: these engines start in half a second and answer
one picture many times sooner. `selection` says which of them is fastest.
"""

import hashlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import machine, runs
from tenfold.errors import DataError, GateError, MissingExtraError, UsageError, unknown
from tenfold.views import PredictFn

ENGINES = ("openvino", "onnxruntime")
BATCH = 256
"""Pictures a pass, fewer where they are larger than 32 x 32: more gain no speed and cost memory."""
SAME_IN_INT8 = 0.97
"""Share of pictures whose most probable class must be that of float32 for an int8 file to be kept.

On 2,048 pictures runs of `fast`, `tiny` and `compact` kept 99.3 to 99.5 %, one of `batchnorm` 98.8 %. What
`tenfold export` keeps must reach `exporting.gate.SAME_IN_INT8`.
"""


_Outputs = Callable[[np.ndarray], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Engine:
    """An exported file, opened: a predict_fn for uint8 pictures, safe to call from several threads.

    `observe` gives the familiarity of each picture beside its probabilities.

    Attributes:
        name: a name of `ENGINES`.
        precision: "float32", "bfloat16" or "int8".
        metadata: what the file says about itself: class_names, image_size, and so on, as text.
    """

    name: str
    precision: str
    metadata: Mapping[str, str]
    _run: _Outputs = field(repr=False)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (n, classes), of uint8 pictures (n, h, w, 3); n is 1 or more."""
        return self._all(images)[0]

    def observe(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Probabilities, and float32 (n,) of `abstention.Familiarity`, None where the file gives none."""
        probabilities, *more = self._all(images)
        return probabilities, more[0] if "familiar_from" in self.metadata else None

    def _all(self, images: np.ndarray) -> list[np.ndarray]:
        images = np.ascontiguousarray(images)
        step = min(BATCH, max(1, 2**18 // (images.shape[1] * images.shape[2])))
        parts = [self._run(images[at : at + step]) for at in range(0, len(images), step)]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def available() -> tuple[str, ...]:
    """The engines that are installed."""
    return tuple(name for name in ENGINES if importlib.util.find_spec(name) is not None)


def require(engine: str) -> None:
    """Raises UsageError where there is no such engine, MissingExtraError where it is not installed."""
    if engine not in ENGINES:
        raise UsageError(unknown("engine", engine, ("auto", "keras", *ENGINES)))
    if engine not in available():
        raise MissingExtraError(
            f"The engine {engine} is not installed. Install it with: pip install 'tenfold[export]'"
        )


def threads() -> int:
    """Threads an engine computes with: OMP_NUM_THREADS where set, else the cores of this process."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else machine.cores()


def precisions(engine: str) -> tuple[str, ...]:
    """What an engine computes in on this machine; bfloat16 only where the processor has it."""
    if engine == "openvino" and "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return ("float32", "bfloat16")
    return ("float32",)


def open_file(path: Path, engine: str, precision: str = "float32", *, shared: bool = False) -> Engine:
    """Opens an ONNX file that `exporting` wrote.

    Args:
        path: the file; uint8 pictures in, probabilities out.
        engine: a name of `ENGINES`.
        precision: one of `precisions(engine)`; "int8" for a file that was written so, and only for it.
        shared: the process has other work for its cores, as a server has: threads that wait for work sleep.

    Raises:
        UsageError: no such engine, or not in this precision on this machine or with this file.
        MissingExtraError: the engine is not installed.
        DataError: the file cannot be read as a model.
    """
    require(engine)
    if precision not in (*precisions(engine), "int8"):
        choices = ", ".join(precisions(engine))
        raise UsageError(
            f"{engine} has no such precision here. Received: precision={precision!r}. Choices: {choices}."
        )
    try:
        run, metadata = _OPENERS[engine](path, precision, shared)
    except Exception as error:  # onnxruntime's errors share no class of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise DataError(f"{path} cannot be opened as an ONNX model by {engine}: {reason}") from error
    held = metadata.get("precision", "float32")
    if precision == "int8" != held:
        raise UsageError(
            f"{path} is no int8 file. Received: precision='int8'. "
            "Write one: tenfold export RUN --precision int8"
        )
    return Engine(engine, held if held == "int8" else precision, metadata, run)


def metadata(path: Path) -> Mapping[str, str]:
    """What an exported file says about itself; raises as `open_file` does."""
    return open_file(path, (available() or ENGINES)[0]).metadata


def compare(reference: np.ndarray, answers: np.ndarray) -> tuple[float, float]:
    """The largest difference of a probability, and the share of rows with the same most probable class."""
    same = reference.argmax(axis=1) == answers.argmax(axis=1)
    return float(np.abs(reference - answers).max()), float(same.mean())


def check(
    reference: PredictFn, exported: PredictFn, images: np.ndarray, bound: float = 1e-4, same: float = 0
) -> tuple[float, float]:
    """The gate that every export passes: the same probabilities as the model on real pictures.

    Args:
        reference: the model.
        exported: the exported file.
        images: uint8 (n, height, width, 3).
        bound: largest difference of a probability that passes.
        same: least share of pictures with the same most probable class that passes.

    Returns:
        The largest difference, and the share.

    Raises:
        GateError: one of them does not pass.
    """
    difference, agreement = compare(reference(images), exported(images))
    if not (difference <= bound and agreement >= same):  # so that nan fails too
        expected = f"the same class for {same:.0%} or more" if same else f"probabilities within {bound}"
        mend = (
            "--precision float32." if same else "--engine keras, the model itself, and report this, please."
        )
        raise GateError(
            f"The exported file answers {len(images)} pictures otherwise than the model, so it is not kept. "
            f"Expected: {expected}. Received: difference={difference:.4g}, the same class for "
            f"{agreement:.1%}. Use {mend}"
        )
    return difference, agreement


def sample(run: runs.Run) -> np.ndarray:
    """Real pictures to compare answers on: those of its validation split that a run keeps, drawn at random.

    Of training where it has no validation split. A run of an earlier version keeps none of that kind; the
    pictures of its report stand in, mistakes for the most part, whose classes are the first to change.

    Raises:
        GateError: the run keeps none.
    """
    splits = ("sample",) if run.gallery("sample") else ("validation", "train")
    kept = [found[0] for split in splits if (found := run.gallery(split))]
    if not kept:
        raise GateError(
            f"{run.path} keeps no pictures to check answers on. Expected: {run.path / 'gallery'}. "
            f"Run: tenfold evaluate {run.path} --engine keras"
        )
    return np.concatenate(kept)


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal text; DataError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Expected a model file.") from error


def core() -> Any:
    """OpenVINO, ready to read files, with its telemetry off; MissingExtraError where it is not installed."""
    require("openvino")
    # Its telemetry would send a message at each import; without that package OpenVINO goes on in silence.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None forbids an import
    import openvino

    return openvino.Core()


def _openvino(path: Path, precision: str, shared: bool) -> tuple[_Outputs, Mapping[str, str]]:
    opener = core()
    model = opener.read_model(path)
    if precision == "int8":
        _spare_rounding(model)
    shape = [part.get_length() for part in list(model.input(0).partial_shape)[1:]]
    # With int8, what is not in integers may be in bfloat16 as well.
    short = precision != "float32" and "bfloat16" in precisions("openvino")
    options = {
        "PERFORMANCE_HINT": "LATENCY",  # one request at a time gets all threads
        "INFERENCE_PRECISION_HINT": "bf16" if short else "f32",
        "INFERENCE_NUM_THREADS": threads(),
    }
    # A graph of its own for single pictures: with all shapes known they are answered a fifth sooner.
    requests: dict[int, Any] = {}
    lock = threading.Lock()  # a request holds the buffers of one call

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        count = 1 if len(images) == 1 else -1
        with lock:
            if count not in requests:
                shaped = model.clone()
                shaped.reshape([count, *shape])
                requests[count] = opener.compile_model(shaped, "CPU", options).create_infer_request()
            return requests[count].infer([images], share_inputs=True).to_tuple()

    told = model.get_rt_info()["framework"] if model.has_rt_info(["framework"]) else {}
    return run, {name: str(value.value) for name, value in told.items()}


def _spare_rounding(model: Any) -> None:
    """Takes out of an int8 graph the roundings that no product follows.

    onnxruntime needs them, to give integers on from a product to what comes next. OpenVINO answers nearly
    twice as fast without them, and half as far from float32.
    """
    from openvino import opset13 as operations

    products = ("Convolution", "GroupConvolution", "MatMul")
    for rounding in model.get_ordered_ops():
        if rounding.get_type_name() != "FakeQuantize":
            continue
        end = rounding
        for kind in ("Convert", "Convert", "Subtract", "Multiply"):  # to integers and back
            takers = end.output(0).get_target_inputs()
            if len(takers) == 1 and next(iter(takers)).get_node().get_type_name() == kind:
                end = next(iter(takers)).get_node()
        takers = end.output(0).get_target_inputs()
        kinds = {taker.get_node().get_type_name() for taker in takers}
        if not kinds.isdisjoint((*products, "Convert", "Subtract")):  # the last two: not the way back we know
            continue
        source = rounding.input_value(0)
        if rounding.input_value(1).get_node().data.min() >= 0:  # it did the work of a ReLU, too
            source = operations.relu(source).output(0)
        for taker in takers:
            taker.replace_source_output(source)


def _onnxruntime(path: Path, precision: str, shared: bool) -> tuple[_Outputs, Mapping[str, str]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    if shared:  # else they spin, which took a server 1.5 ms of processor a picture in place of 0.9
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images}), session.get_modelmeta().custom_metadata_map


_OPENERS: dict[str, Callable[[Path, str, bool], tuple[_Outputs, Mapping[str, str]]]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
}
