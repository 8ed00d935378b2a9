"""An ONNX file written anew in 8-bit integers."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import engines, runs
from tenfold.exporting.content import CARE, Content
from tenfold.exporting.graph import describe, onnx_file
from tenfold.exporting.rounding import evened

_PRODUCTS = ["Conv", "Gemm", "MatMul"]


def onnx_int8(content: Content, path: Path) -> None:
    """`int8` for all that goes into a file; its ranges come from `content.rounding`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx_file(content, file)
        rounding = content.images if content.rounding is None else content.rounding
        int8(file, path, calibration=rounding, images=content.images, careful=content.careful)


def int8(
    file: Path, path: Path, *, calibration: np.ndarray, images: np.ndarray, careful: bool = False
) -> Path:
    """Writes a file of `onnx` anew in 8-bit integers: smaller, sooner, and a little off.

    Weights of convolutions and dense layers are rounded in each filter so that their errors cancel
    (`rounding`), activations within the range that real pictures give them (static quantization, Jacob et
    al., arXiv:1712.05877); the last dense layers and all else stay in float32.

    Args:
        file: written by `onnx`; left as it is.
        path: the new file; appears only when it is complete and has been checked. Its metadata tell how it
            compares with `file`.
        calibration: uint8 (n, height, width, 3), training pictures, a few hundred.
        images: uint8 (n, height, width, 3), other pictures, to check it on.
        careful: what convolutions and dense layers give stays in float32, too.

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
        exact = _even(temporary)
        quantization.quantize_static(
            temporary,
            temporary,
            Pictures(),
            # Relu goes into the convolution before it, whose range then needs nothing below 0.
            op_types_to_quantize=_PRODUCTS if careful else [*_PRODUCTS, "Relu", "MaxPool"],
            nodes_to_exclude=exact,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,  # signed ones are slow in onnxruntime
            weight_type=quantization.QuantType.QInt8,
            # The mean of the ranges of eights: the range of all would be that of the oddest picture, and
            # twice as many answers would change.
            extra_options={
                "CalibMovingAverage": True,
                "OpTypesToExcludeOutputQuantization": _PRODUCTS if careful else [],
            },
        )
        facts = {
            **engines.metadata(file),
            **(CARE if careful else {}),
            "precision": "int8",
            "calibration_pictures": str(len(calibration)),
        }
        describe(temporary, facts)
        found = []
        for name in engines.available():
            reference, rounded = engines.open_file(file, name), engines.open_file(temporary, name, "int8")
            found.append(engines.check(reference, rounded, images, bound=1, same=engines.SAME_IN_INT8))
        differences, shares = zip(*found, strict=True)
        told = {"largest_difference": f"{max(differences):.3g}", "same_class": f"{min(shares):.4f}"}
        describe(temporary, {**facts, **told, "checked_on": str(len(images))})
    return path


def _even(file: Path) -> list[str]:
    """Rounds weights as `rounding.evened` does, which the quantization then keeps.

    Returns:
        The products that are to stay exact: those of `_last`, of activations with each other, and with
        weights that are no matrix.
    """
    import onnx

    model = onnx.load(file)
    weights = {weight.name: weight for weight in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in _PRODUCTS]
    last = _last(model.graph)
    exact = []
    for number, node in enumerate(nodes):
        node.name = node.name or f"{node.op_type}_{number}"
        held = weights.get(node.input[1])
        if node.output[0] in last or held is None or (node.op_type != "Conv" and len(held.dims) != 2):
            exact.append(node.name)
            continue
        kernel = onnx.numpy_helper.to_array(held)
        filters = kernel if node.op_type == "Conv" or _transposed(node) else kernel.T
        even = evened(filters.reshape(*filters.shape[:2], -1)).reshape(filters.shape)
        even = np.ascontiguousarray(even if filters is kernel else even.T)
        held.CopyFrom(onnx.numpy_helper.from_array(even, node.input[1]))
    onnx.save(model, file)
    return exact


def _last(graph: Any) -> set[str]:
    """What dense layers give that no other product takes: what decides between the classes, and the like."""
    leading: set[str] = set()  # to a product
    found: set[str] = set()
    for node in reversed(graph.node):
        goes_on = not leading.isdisjoint(node.output)
        if node.op_type in _PRODUCTS[1:] and not goes_on:
            found |= set(node.output)
        if node.op_type in _PRODUCTS or goes_on:
            leading |= set(node.input)
    return found


def _transposed(node: Any) -> bool:
    """Whether a matrix product takes its weights as (outputs, inputs)."""
    return node.op_type == "Gemm" and any(given.name == "transB" and given.i for given in node.attribute)
