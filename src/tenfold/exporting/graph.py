"""A Keras model as one ONNX file."""

import contextlib
import importlib.util
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tenfold import engines, models, runs
from tenfold.abstention import Familiarity
from tenfold.calibration import MARGIN, PLAIN, UNSURE, Calibrator
from tenfold.errors import MissingExtraError, TenfoldError, UsageError
from tenfold.exporting.content import Content
from tenfold.views import averaged, indices

NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""Packages that write ONNX."""


def onnx(
    model: keras.Model,
    path: Path,
    *,
    images: np.ndarray,
    facts: Mapping[str, str] | None = None,
    views: str = "none",
    calibrator: Calibrator = PLAIN,
    known: Familiarity | None = None,
    sure_from: float | None = None,
) -> Path:
    """Writes one ONNX file that every engine runs fast: standard operations, batch norm folded away.

    Its input `image` is uint8 (batch, height, width, 3), its output `probabilities` float32 (batch, classes),
    the batch of any size. With `known` it has another, `familiarity`, float32 (batch,); with `sure_from` a
    third, `sure`, bool (batch,): where it is false, the answer is "not sure".

    Args:
        model: in the portable form, logits or softmax at its end; left as it was.
        path: the file; appears only when it is complete and has been checked.
        images: uint8 (n, height, width, 3), real pictures to check it on.
        facts: go into the file's metadata, beside the version of Tenfold and the views.
        views: test-time views to put inside: a key of `views.VIEWS`.
        calibrator: goes inside too, so that the file's probabilities are calibrated.
        known: goes inside too; that of the plain view counts.
        sure_from: the least confidence of an answer that counts, 0 to 1.

    Returns:
        `path`.

    Raises:
        UsageError: no such views, or Keras does not run on torch.
        MissingExtraError: the packages that write ONNX are not installed.
        GateError: the file's answers differ from the model's.
    """
    content = Content(model, images, facts or {}, views, calibrator, known, sure_from)
    require_torch("ONNX")
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise MissingExtraError(
            f"Writing ONNX needs {', '.join(missing)}. Install it with: pip install 'tenfold[export]'"
        )
    written = _traced(content)
    # The same temporary name and the same errors as for any file of a run.
    with runs.Run(path.parent).replacing(path.name) as temporary:
        _fold(written, temporary)
        describe(temporary, content.told)
        expected = averaged(models.predict_fn(model, calibrator=calibrator), views)
        for name in engines.available():
            engines.check(expected, engines.open_file(temporary, name), images)
    return path


def onnx_file(content: Content, path: Path) -> None:
    """`onnx` for all that goes into a file."""
    onnx(
        content.model,
        path,
        images=content.images,
        facts=content.facts,
        views=content.views,
        calibrator=content.calibrator,
        known=content.known,
        sure_from=content.sure_from,
    )


def describe(path: Path, facts: Mapping[str, str]) -> None:
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


def require_torch(what: str) -> None:
    """Raises UsageError where Keras runs on another backend."""
    if keras.backend.backend() != "torch":
        raise UsageError(
            f"{what} is written through torch, and model.keras opens there too. Expected: --backend torch "
            f"or KERAS_BACKEND=torch. Received: backend={keras.backend.backend()}"
        )


def module(content: Content) -> Any:
    """What a file holds as a torch module: uint8 `image` (batch, h, w, 3) to a tuple of `content.outputs`.

    The model is called with `training=False` once and for all, whatever its layers make of that by default.
    """
    import torch

    model, views = content.model, content.view_set
    calibrator, known, sure_from = content.calibrator, content.known, content.sure_from

    logits = models.returns_logits(model)
    height, width = model.input_shape[1:3]
    places = [
        [torch.from_numpy(np.ascontiguousarray(part)) for part in indices(view, height, width)]
        for view in views
    ]
    weights = torch.tensor([view.weight for view in views]).reshape(-1, 1, 1)
    smallest = torch.finfo(torch.float32).tiny

    last = None if known is None else models.head(model)
    centres, least = (
        (None, -1.0) if known is None else (torch.from_numpy(known.centres.T.copy()), known.least)
    )
    seen = model if last is None else keras.Model(model.inputs, [model.outputs[0], last.input])

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = seen

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            if len(views) > 1:  # all views of all pictures are one batch, (views * batch, h, w, 3)
                image = torch.cat([image[:, rows][:, :, columns] for rows, columns in places])
            outputs = self.model(image.float(), training=False)
            familiar = []
            if centres is not None:
                outputs, features = outputs
                features = features.unflatten(0, (len(views), -1))[0]
                unit = features / features.norm(dim=-1, keepdim=True).clamp(min=1e-12)
                familiar = [(unit @ centres).amax(dim=-1)]
            if not logits:
                outputs = outputs.clamp(min=smallest).log()
            logarithms = _calibrated(outputs, calibrator)
            if len(views) > 1:
                logarithms = (logarithms.unflatten(0, (len(views), -1)) * weights).sum(dim=0)
            probabilities = logarithms.softmax(dim=-1)
            if sure_from is None:
                return (probabilities, *familiar)
            sure = probabilities.amax(dim=-1) >= sure_from
            for value in familiar:
                sure = sure & (value >= least)
            return (probabilities, *familiar, sure)

    return Graph().eval()


def _traced(content: Content) -> bytes:
    """The model as an ONNX graph, as torch's exporter leaves it."""
    import torch

    model = content.model
    pictures = torch.zeros((2, *model.input_shape[1:]), dtype=torch.uint8)
    try:
        with foldable(), hushed():
            program: Any = torch.onnx.export(  # never None here, as its type would have it
                module(content),
                (pictures,),
                dynamo=True,
                dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                input_names=["image"],
                output_names=content.outputs,
                verbose=False,
            )
            program.optimize()
    except torch.onnx.errors.OnnxExporterError as error:
        reason = (str(error.__cause__ or error).strip().splitlines() or [""])[0]
        raise TenfoldError(
            f"Model {model.name!r} cannot be written as ONNX: {reason} Use the model itself: --engine keras."
        ) from error
    return program.model_proto.SerializeToString()


def _calibrated(logits: Any, calibrator: Calibrator) -> Any:
    """`calibrator` in torch: the logarithms of its probabilities, each row less some number of its own."""
    import torch

    logits = logits / calibrator.temperature
    if calibrator.curve is None:
        return logits
    offset, slope = calibrator.curve
    two, places = logits.topk(2, dim=-1)
    others = logits.scatter(-1, places[:, :1], -torch.inf).logsumexp(dim=-1, keepdim=True)
    unsure = torch.nn.functional.logsigmoid(others - two[:, :1])  # log of 1 - confidence
    odds = offset - slope * unsure.clamp(min=math.log(UNSURE))
    return logits.scatter(-1, places[:, :1], torch.maximum(odds + others, two[:, 1:] + MARGIN))


def _fold(written: bytes, path: Path) -> None:
    """Lets onnxruntime fold batch norm into convolutions and cancel changes of layout, then saves."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Higher levels put in operations of its own, that other engines do not know.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3  # errors only
    onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def foldable() -> Iterator[None]:
    """Inside the block some layers of Keras compute in a form that engines can make less of.

    Batch norm is `x * k + b`: Keras writes it as a subtraction, a product and a sum, which no engine folds
    into the convolution before. Global pools look along the last two axes: a change of layout in front of
    them would keep the last batch norm of a network from its convolution.
    """

    def norm(self: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        k = 1 / (self.moving_variance.value + self.epsilon).sqrt()
        if self.scale:
            k = k * self.gamma.value
        b = -self.moving_mean.value * k
        if self.center:
            b = b + self.beta.value
        return inputs * k.detach().reshape(shape) + b.detach().reshape(shape)

    def pool(reduce: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        def call(self: Any, inputs: Any) -> Any:
            last = self.data_format == "channels_last"
            maps = inputs.permute(0, 3, 1, 2) if last else inputs
            found = reduce(maps, axis=(2, 3), keepdims=self.keepdims)
            return found.permute(0, 2, 3, 1) if last and self.keepdims else found

        return call

    forms = {
        keras.layers.BatchNormalization: norm,
        keras.layers.GlobalMaxPooling2D: pool(keras.ops.max),
        keras.layers.GlobalAveragePooling2D: pool(keras.ops.mean),
    }
    before = {kind: kind.call for kind in forms}
    try:
        for kind, form in forms.items():
            kind.call = form
        yield
    finally:
        for kind, form in before.items():
            kind.call = form


@contextlib.contextmanager
def hushed() -> Iterator[None]:
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
