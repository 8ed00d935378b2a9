"""Files in 8-bit integers: what is rounded, what is not, and how much smaller they are."""

import dataclasses

import numpy as np
import onnx
import pytest

from networks import built, pictures, rich
from tenfold import engines, exporting
from tenfold.exporting.content import Content
from tenfold.exporting.integers import onnx_int8


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    plain = exporting.onnx(built("tiny"), folder / "model.onnx", images=pictures())
    small = exporting.int8(plain, folder / "small.onnx", calibration=pictures(64), images=pictures(64))
    return plain, small


def test_hidden_dense_layers_are_rounded_too_and_the_last_one_is_not(files):
    plain, small = files
    assert small.stat().st_size < 0.3 * plain.stat().st_size
    kernels = [weight for weight in onnx.load(small).graph.initializer if len(weight.dims) > 1]
    kinds = {tuple(sorted(weight.dims)): weight.data_type for weight in kernels}
    assert kinds[(128, 3072)] == onnx.TensorProto.INT8
    assert kinds[(10, 128)] == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("engine", engines.available())
def test_it_answers_nearly_the_same(files, engine):
    exact, rounded = (engines.open_file(file, engine)(pictures(64)) for file in files)
    assert (exact.argmax(axis=1) == rounded.argmax(axis=1)).mean() > 0.96
    assert np.abs(exact - rounded).max() < 0.3


def test_all_layers_that_decide_stay_exact_and_care_leaves_what_products_give(tmp_path):
    content = rich(built("fast"), pictures(64), rounding=pictures(64))
    distances = []
    exact = exporting.FORMATS["onnx"]
    exact.write(content, tmp_path / "exact.onnx")
    expected = engines.open_file(tmp_path / "exact.onnx", "onnxruntime")(pictures(64))
    for careful in (False, True):
        file = tmp_path / f"{careful}.onnx"
        onnx_int8(dataclasses.replace(content, careful=careful), file)
        graph = onnx.load(file).graph
        deciding = [weight for weight in graph.initializer if tuple(weight.dims) == (64, 10)]
        assert [weight.data_type for weight in deciding] == 2 * [onnx.TensorProto.FLOAT]
        made = {output: node.op_type for node in graph.node for output in node.output}
        rounded = {made.get(node.input[0]) for node in graph.node if node.op_type == "QuantizeLinear"}
        assert ("Conv" in rounded) is not careful
        distances.append(np.abs(engines.open_file(file, "onnxruntime")(pictures(64)) - expected).mean())
    assert distances[1] < distances[0]


@pytest.mark.skipif("openvino" not in engines.available(), reason="needs the extra `export`")
@pytest.mark.parametrize("name", ["fast", "residual"])
def test_openvino_rounds_what_products_take_and_no_more(name, tmp_path):
    """So that a file in integers throughout answers there as a careful one; ReLU stays where it was."""
    content = Content(built(name), pictures(64), rounding=pictures(64))
    answers = []
    for careful in (False, True):
        onnx_int8(dataclasses.replace(content, careful=careful), tmp_path / f"{careful}.onnx")
        answers.append(engines.open_file(tmp_path / f"{careful}.onnx", "openvino", "int8")(pictures(64)))
    assert np.abs(answers[0] - answers[1]).mean() < 2e-3
    exporting.FORMATS["onnx"].write(content, tmp_path / "exact.onnx")
    exact = engines.open_file(tmp_path / "exact.onnx", "openvino")(pictures(64))
    assert np.abs(answers[0] - exact).mean() < 0.02
