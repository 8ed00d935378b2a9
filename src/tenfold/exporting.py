"""From a Keras model to one portable file, checked on real pictures before it is kept.

A file takes uint8 pictures and gives probabilities; scaling, softmax and, where asked for, test-time views
are inside, and its metadata name the classes, so that it is of use without Tenfold.
"""

import contextlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import tenfold
from tenfold import engines, models, runs, splits
from tenfold.errors import MissingExtraError, TenfoldError, UsageError, unknown
from tenfold.views import View, averaged, indices, view_set

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_CALIBRATION, _HELD = 512, 2048  # training pictures for the ranges of int8; pictures to check it on, at most


def export(
    run: runs.Run,
    format: str = "onnx",
    *,
    views: str = "none",
    precision: str = "float32",
    path: Path | None = None,
) -> Path:
    """Writes a run's model as a file of some format.

    Args:
        run: a finished run.
        format: a key of `FORMATS`.
        views: test-time views to put inside: a key of `views.VIEWS`.
        precision: "float32", or "int8" as in `int8`; the float32 file is then written to `exports/` too.
        path: where to; `exports/` of the run when None.

    Returns:
        The file's path.

    Raises:
        UsageError: no such format, views or precision, or Keras runs on a backend that cannot write it.
        MissingExtraError: the packages that write it are not installed.
        DataError: the run's model cannot be read, or for int8 its pictures.
        GateError: the file's answers differ from the model's, or there are no pictures to compare them on.
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
    FORMATS[format](models.load(run.model_path), target, images=images, facts=facts, views=views)
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


def onnx(
    model: keras.Model,
    path: Path,
    *,
    images: np.ndarray,
    facts: Mapping[str, str] | None = None,
    views: str = "none",
) -> Path:
    """Writes one ONNX file that every engine runs fast: standard operations, batch norm folded away.

    Its input `image` is uint8 (batch, height, width, 3), its output `probabilities` float32 (batch, classes),
    the batch of any size.

    Args:
        model: in the portable form, logits or softmax at its end; left as it was.
        path: the file; appears only when it is complete and has been checked.
        images: uint8 (n, height, width, 3), real pictures to check it on.
        facts: go into the file's metadata, beside the version of Tenfold and the views.
        views: test-time views to put inside: a key of `views.VIEWS`.

    Returns:
        `path`.

    Raises:
        UsageError: no such views, or Keras does not run on torch.
        MissingExtraError: the packages that write ONNX are not installed.
        GateError: the file's answers differ from the model's.
    """
    chosen = view_set(views)
    if keras.backend.backend() != "torch":
        raise UsageError(
            "ONNX is written through torch, and model.keras opens there too. Expected: --backend torch "
            f"or KERAS_BACKEND=torch. Received: backend={keras.backend.backend()}"
        )
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise MissingExtraError(
            f"Writing ONNX needs {', '.join(missing)}. Install it with: pip install 'tenfold[export]'"
        )
    written = _traced(model, chosen)
    # The same temporary name and the same errors as for any file of a run.
    with runs.Run(path.parent).replacing(path.name) as temporary:
        _fold(written, temporary)
        _describe(temporary, {**(facts or {}), "views": views, "tenfold": tenfold.__version__})
        expected = averaged(models.predict_fn(model), views)
        for name in engines.available():
            engines.check(expected, engines.open_file(temporary, name), images)
    return path


FORMATS: dict[str, Callable[..., Path]] = {"onnx": onnx}
"""Formats by name. Each is written by a function that takes what `onnx` takes."""


def int8(file: Path, path: Path, *, calibration: np.ndarray, images: np.ndarray) -> Path:
    """Writes a file of `onnx` anew with its convolutions in 8-bit integers: sooner, and a little off.

    Weights are rounded in each channel, activations within the range that real pictures give them (static
    quantization, Jacob et al., arXiv:1712.05877); all else stays in float32.

    Args:
        file: written by `onnx`; left as it is.
        path: the new file; appears only when it is complete and has been checked. Its metadata tell how it
            compares with `file`.
        calibration: uint8 (n, height, width, 3), training pictures, a few hundred.
        images: uint8 (n, height, width, 3), other pictures, to check it on.

    Returns:
        `path`.

    Raises:
        GateError: the same class as `file` for less than `engines.SAME_IN_INT8` of the pictures.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(quantization.CalibrationDataReader):
        rows = iter(range(0, len(calibration), 8))

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(({"image": calibration[at : at + 8]} for at in self.rows), None)

    with runs.Run(path.parent).replacing(path.name) as temporary:
        quant_pre_process(file, temporary, skip_symbolic_shape=True)
        quantization.quantize_static(
            temporary,
            temporary,
            Pictures(),
            op_types_to_quantize=["Conv", "MaxPool"],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,  # signed ones are slow in onnxruntime
            weight_type=quantization.QuantType.QInt8,
            # The mean of the ranges of eights: the range of all would be that of the oddest picture, and
            # twice as many answers would change.
            extra_options={"CalibMovingAverage": True},
        )
        facts = {**engines.metadata(file), "precision": "int8", "calibration_pictures": str(len(calibration))}
        _describe(temporary, facts)
        found = []
        for name in engines.available():
            reference, rounded = engines.open_file(file, name), engines.open_file(temporary, name, "int8")
            found.append(engines.check(reference, rounded, images, bound=1, same=engines.SAME_IN_INT8))
        differences, shares = zip(*found, strict=True)
        told = {"largest_difference": f"{max(differences):.3g}", "same_class": f"{min(shares):.4f}"}
        _describe(temporary, {**facts, **told, "checked_on": str(len(images))})
    return path


def _spread(images: np.ndarray, most: int) -> np.ndarray:
    """At most so many pictures, evenly spread, so that sets sorted by class give some of each."""
    return images[np.unique(np.linspace(0, len(images) - 1, most).astype(int))]


def _traced(model: keras.Model, views: Sequence[View]) -> bytes:
    """The model as an ONNX graph, as torch's exporter leaves it."""
    import torch

    logits = models.returns_logits(model)
    height, width = model.input_shape[1:3]
    places = [
        [torch.from_numpy(np.ascontiguousarray(part)) for part in indices(view, height, width)]
        for view in views
    ]
    weights = torch.tensor([view.weight for view in views]).reshape(-1, 1, 1)
    smallest = torch.finfo(torch.float32).tiny

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            if len(views) > 1:  # all views of all pictures are one batch, (views * batch, h, w, 3)
                image = torch.cat([image[:, rows][:, :, columns] for rows, columns in places])
            outputs = self.model(image.float(), training=False)
            if len(views) > 1:
                if not logits:
                    outputs = outputs.clamp(min=smallest).log()
                outputs = (outputs.unflatten(0, (len(views), -1)) * weights).sum(dim=0)
            return outputs.softmax(dim=-1) if logits or len(views) > 1 else outputs

    pictures = torch.zeros((2, *model.input_shape[1:]), dtype=torch.uint8)
    try:
        with _scaled_batch_norm(), _hushed():
            program: Any = torch.onnx.export(  # never None here, as its type would have it
                Graph().eval(),
                (pictures,),
                dynamo=True,
                dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                input_names=["image"],
                output_names=["probabilities"],
                verbose=False,
            )
            program.optimize()
    except torch.onnx.errors.OnnxExporterError as error:
        reason = (str(error.__cause__ or error).strip().splitlines() or [""])[0]
        raise TenfoldError(
            f"Model {model.name!r} cannot be written as ONNX: {reason} Use the model itself: --engine keras."
        ) from error
    return program.model_proto.SerializeToString()


def _fold(written: bytes, path: Path) -> None:
    """Lets onnxruntime fold batch norm into convolutions and cancel changes of layout, then saves."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Higher levels put in operations of its own, that other engines do not know.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3  # errors only
    onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])


def _describe(path: Path, facts: Mapping[str, str]) -> None:
    """Puts facts into a file's metadata and drops the operation sets that nothing in it uses."""
    import onnx

    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model)
    onnx.save(model, path)


@contextlib.contextmanager
def _scaled_batch_norm() -> Iterator[None]:
    """Computes Keras' batch norm as `x * k + b` inside the block.

    Keras writes it as a subtraction, a product and a sum, which no engine folds into the convolution before.
    """

    def call(self: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        k = 1 / (self.moving_variance.value + self.epsilon).sqrt()
        if self.scale:
            k = k * self.gamma.value
        b = -self.moving_mean.value * k
        if self.center:
            b = b + self.beta.value
        return inputs * k.detach().reshape(shape) + b.detach().reshape(shape)

    before = keras.layers.BatchNormalization.call
    keras.layers.BatchNormalization.call = call
    try:
        yield
    finally:
        keras.layers.BatchNormalization.call = before


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keeps back what torch's exporter says about itself: deprecations, and operators that are not there."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
