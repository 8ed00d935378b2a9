"""What runs under TensorFlow to write its formats: `python -m tenfold.exporting.tensors FOLDER`.

The folder holds `whole.keras`, `job.json` and, for int8, `rounding.npy`; see `flow`.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from tenfold.exporting import decoding
from tenfold.exporting.rounding import evened
from tenfold.runtimes import OUTPUTS

# In integers: what computes most, and what passes integers on. Batch norm that could not be folded,
# activations and sums of branches would each be rounded once more, and for little.
_CONVOLVED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_ROUNDED = (*_CONVOLVED, "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "RESHAPE")


class Arrays(tf.Module):
    """A whole model, called with pictures in memory: `image`, uint8 (n, h, w, 3)."""

    def __init__(self, model: keras.Model):
        super().__init__()
        self._kept = [variable.value for variable in model.variables]  # what is saved with the functions
        self._model = lambda image: model(image, training=False)
        height, width = model.input_shape[1:3]
        self._size: tuple[int, int] = (height, width)
        self._pictures = tf.TensorSpec((None, height, width, 3), tf.uint8, name="image")
        self.arrays = tf.function(self._answers, input_signature=[self._pictures])

    def _answers(self, image: Any) -> dict[str, Any]:
        found = self._model(image)
        return found if isinstance(found, dict) else {OUTPUTS[0]: found}


class Served(Arrays):
    """The same with the signatures that a server's users call.

    `serving_default`: `image`, uint8 (n, h, w, 3). `serve_bytes`: `image_bytes`, (n,) strings, each a JPEG or
    a PNG of any size. Both give `probabilities` (n, classes), `label` (n,), the most probable class's name,
    and what else the model gives. `classify`: `inputs`, (n,) strings, each a tf.Example with such a file as
    its feature "image/encoded"; it gives `classes` and `scores`, both (n, classes), as TensorFlow Serving's
    API of that name wants them.
    """

    def __init__(self, model: keras.Model, class_names: list[str], fit: Any):
        super().__init__(model)
        height, width = self._size

        def named(image: Any) -> dict[str, Any]:
            found = self._answers(image)
            best = tf.argmax(found[OUTPUTS[0]], axis=-1)
            return {**found, "label": tf.gather(tf.constant(class_names), best)}

        def decoded(files: Any) -> Any:
            return tf.map_fn(
                lambda content: decoding.read(content, height, fit),
                files,
                fn_output_signature=tf.TensorSpec((height, width, 3), tf.uint8),
            )

        def encoded(image_bytes: Any) -> dict[str, Any]:
            return named(decoded(image_bytes))

        def classified(inputs: Any) -> dict[str, Any]:
            feature = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
            scores = self._answers(decoded(tf.io.parse_example(inputs, feature)["image/encoded"]))[OUTPUTS[0]]
            classes = tf.broadcast_to(tf.constant(class_names), tf.shape(scores))
            return {"classes": classes, "scores": scores}

        def strings(name: str) -> list[Any]:
            return [tf.TensorSpec((None,), tf.string, name=name)]

        self.named = tf.function(named, input_signature=[self._pictures])
        self.encoded = tf.function(encoded, input_signature=strings("image_bytes"))
        self.classified = tf.function(classified, input_signature=strings("inputs"))


def save(served: Served, path: Path) -> None:
    """Writes the SavedModel."""
    signatures = {
        "serving_default": served.named,
        "serve_bytes": served.encoded,
        "classify": served.classified,
    }
    tf.saved_model.save(served, str(path), signatures=signatures)


def lite(model: keras.Model, rounding: np.ndarray | None, classes: int, careful: bool = False) -> bytes:
    """The LiteRT file, in integers where pictures to choose their ranges by are given.

    Where it is to be `careful`, weights are integers, and ranges are those of the running batch.
    """
    with tempfile.TemporaryDirectory() as folder:
        module = Arrays(model)
        tf.saved_model.save(module, folder, signatures={"serving_default": module.arrays})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        if careful:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if careful or rounding is None:
            return converter.convert()
        return _rounded(converter, rounding, classes)


def _rounded(converter: Any, rounding: np.ndarray, classes: int) -> bytes:
    """In integers up to the input of the last dense layer; see `flow.litert_int8`."""

    def pictures() -> Iterator[list[np.ndarray]]:
        for picture in rounding:
            yield [picture[None]]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = pictures
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=pictures)
    debugger.calibrated_model = _averaged(debugger.calibrated_model, rounding)
    debugger.options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=_in_float(debugger.calibrated_model, classes)
    )
    return debugger.get_nondebug_quantized_model()


def _averaged(file: bytes, rounding: np.ndarray) -> bytes:
    """A calibrated file with the mean of the ranges of eights, as `integers.int8` takes it.

    The converter takes the range of all pictures, that of the oddest one: twice as many answers would change.
    """
    interpreter = tf.lite.Interpreter(
        model_content=file,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file, 0))
    known = [tensor.quantization for tensor in model.subgraphs[0].tensors]
    ranged = [place for place, told in enumerate(known) if told is not None and told.min is not None]
    found = []
    place = interpreter.get_input_details()[0]["index"]
    for at in range(0, len(rounding) - 7, 8):
        interpreter.resize_tensor_input(place, (8, *rounding.shape[1:]))
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, rounding[at : at + 8])
        interpreter.invoke()
        values = [interpreter.get_tensor(number) for number in ranged]
        found.append([(value.min(), value.max()) for value in values])
    for number, (least, most) in zip(ranged, np.mean(found, axis=0).tolist(), strict=True):
        known[number].min, known[number].max = [least], [most]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _even(model: keras.Model, classes: int) -> None:
    """Rounds the weights that will be integers with `rounding.evened`, which the converter cannot."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _even(layer, classes)
        elif isinstance(layer, keras.layers.Conv2D):
            rows = layer.kernel.numpy().transpose(3, 2, 0, 1)
            kernel = evened(rows.reshape(*rows.shape[:2], -1)).reshape(rows.shape)
            layer.kernel.assign(kernel.transpose(2, 3, 1, 0))
        elif isinstance(layer, keras.layers.Dense) and layer.units != classes:
            layer.kernel.assign(evened(layer.kernel.numpy().T[..., None])[..., 0].T)


def _in_float(file: bytes, classes: int) -> list[str]:
    """Names of what stays in float32: all that is not `_ROUNDED`, and all that comes after the features."""
    interpreter = tf.lite.Interpreter(model_content=file)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    operations = interpreter._get_ops_details()

    def leading_to(wanted: set[int]) -> set[int]:
        for operation in reversed(operations):
            if wanted & {int(output) for output in operation["outputs"]}:
                wanted = wanted | {int(given) for given in operation["inputs"]}
        return wanted

    ends = [operation for operation in operations if operation["op_name"] == "SOFTMAX"]
    counting = leading_to({int(end["inputs"][0]) for end in ends})
    heads = [
        operation
        for operation in operations
        if operation["op_name"] == "FULLY_CONNECTED" and int(operation["outputs"][0]) in counting
        if list(tensors[operation["outputs"][0]]["shape"][-1:]) == [classes]
    ]
    features = leading_to({int(head["inputs"][0]) for head in heads or ends})
    return [
        tensors[output]["name"]
        for operation in operations
        for output in operation["outputs"]
        if int(output) not in features or operation["op_name"] not in _ROUNDED
    ]


def main(folder: Path) -> None:
    """Does what the folder's `job.json` says."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(folder / "whole.keras", compile=False)
    path = Path(job["path"])
    if job["kind"] == "saved_model":
        save(Served(model, job["class_names"], job["fit"]), path)
    else:
        classes = len(job["class_names"])
        rounding = np.load(folder / "rounding.npy") if job["kind"] == "litert int8" else None
        if job["kind"] != "litert":
            _even(model, classes)
        path.write_bytes(lite(model, rounding, classes, careful=job["kind"] == "litert careful"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
