"""Files in 8-bit integers: what is rounded, what is not, and how much smaller they are."""

import numpy as np
import onnx
import pytest

from networks import built, pictures
from tenfold import engines, exporting


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
