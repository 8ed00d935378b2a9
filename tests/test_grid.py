"""Kernels on bfloat16's grid: what an engine computes with in bfloat16 is what the model computes with."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers as k

import networks
from tenfold import engines, models, training
from tenfold.calibration import PLAIN
from tenfold.config import Config
from tenfold.exporting.graph import onnx
from tenfold.layers import norm_gelu, training_format
from tenfold.models import grid


def rounded(values):
    """The nearest bfloat16, by its definition: the upper half of a float32, the lower half rounded off."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return bits.astype(np.uint32).view(np.float32)


def lies_on_grid(values):
    return bool(np.allclose(rounded(values), values, rtol=1e-6, atol=0))


def folded(kernel, norm):
    factors = 1 / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    return np.asarray(kernel) * (factors * np.asarray(norm.gamma) if norm.scale else factors)


def normed(layer, **options):
    """A layer, batch norm, and a second convolution that no norm follows."""
    stack = [keras.Input((8, 8, 3)), layer, k.BatchNormalization(**options), k.ReLU(), k.Conv2D(4, 3)]
    return networks.shaken(keras.Sequential([*stack, k.GlobalAveragePooling2D(), k.Dense(3)]))


@pytest.mark.parametrize("options", [{}, {"scale": False}], ids=["scaled", "unscaled"])
def test_kernels_lie_on_the_grid_behind_the_norm_that_follows(options):
    model = normed(k.Conv2D(5, 3, use_bias=False), **options)
    convolution, norm, _, last, _, dense = model.layers
    assert not lies_on_grid(folded(convolution.kernel, norm))
    grid.settle(model)
    assert lies_on_grid(folded(convolution.kernel, norm))
    assert not lies_on_grid(np.asarray(convolution.kernel))
    assert lies_on_grid(np.asarray(last.kernel))
    assert lies_on_grid(np.asarray(dense.kernel))


def test_depthwise_and_separable_kernels_too():
    model = normed(k.DepthwiseConv2D(3, depth_multiplier=2))
    grid.settle(model)
    depthwise, norm = model.layers[:2]
    assert lies_on_grid(folded(np.asarray(depthwise.kernel).reshape(3, 3, 6), norm))

    model = normed(k.SeparableConv2D(5, 3))
    grid.settle(model)
    separable, norm = model.layers[:2]
    assert lies_on_grid(folded(separable.pointwise_kernel, norm))
    assert lies_on_grid(np.asarray(separable.depthwise_kernel))


def test_what_no_engine_can_multiply_in_is_rounded_as_it_is():
    shared = k.Conv2D(3, 3, padding="same")
    inputs = keras.Input((8, 8, 3))
    twice = k.BatchNormalization()(shared(inputs))
    both = k.Add()([twice, shared(twice)])
    forked = k.Conv2D(4, 3)(both)
    forked = k.Add()([k.BatchNormalization()(forked), forked])
    bent = k.BatchNormalization()(k.Conv2D(4, 3, activation="relu")(forked))
    pooled = k.BatchNormalization()(k.MaxPooling2D()(k.Conv2D(4, 1)(bent)))
    other_way = k.BatchNormalization(axis=1)(k.Conv2D(2, 1)(pooled))
    model = networks.shaken(keras.Model(inputs, k.Flatten()(other_way)))
    grid.settle(model)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, k.Conv2D)]
    assert len(kernels) == 5
    assert all(lies_on_grid(np.asarray(kernel)) for kernel in kernels)


def test_models_within_models_and_models_in_code():
    inner = normed(k.Conv2D(5, 3))
    inputs = keras.Input((8, 8, 3))
    outer = keras.Model(inputs, k.Dense(2)(inner(inputs)))
    grid.settle(outer)
    assert lies_on_grid(folded(inner.layers[0].kernel, inner.layers[1]))
    assert lies_on_grid(np.asarray(outer.layers[-1].kernel))

    class InCode(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = k.Dense(4)

        def call(self, inputs):
            return self.dense(inputs)

    model = InCode()
    model(np.zeros((1, 5), np.float32))
    grid.settle(model)
    assert lies_on_grid(np.asarray(model.dense.kernel))


def test_a_channel_that_the_norm_switches_off_stays_finite():
    model = normed(k.Conv2D(5, 3))
    norm = model.layers[1]
    gamma, *others = norm.get_weights()
    gamma[2] = 0
    norm.set_weights([gamma, *others])
    grid.settle(model)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a layer for the torch backend")
@pytest.mark.parametrize("pool", [None, (2, 2)])
def test_a_pool_inside_the_norm_comes_between(pool):
    inputs = keras.Input((3, 8, 8))
    convolution = k.Conv2D(5, 3, use_bias=False, data_format="channels_first")
    model = networks.shaken(keras.Model(inputs, norm_gelu(convolution(inputs), "channels_first", pool=pool)))
    grid.settle(model)
    assert lies_on_grid(np.asarray(convolution.kernel.value.detach())) == bool(pool)


@pytest.mark.parametrize("name", ["fast", "resnet20"])
def test_it_moves_little_and_only_once_and_alike_in_every_layout(name):
    options = networks.SMALL.get(name, {"width": 0.5})
    model = networks.shaken(models.build(name, (32, 32, 3), 4, options=options))
    other = models.twin(model, name, data_format=training_format(), options=options)
    before = model.get_weights()
    grid.settle(model)
    once = model.get_weights()
    for old, new in zip(before, once, strict=True):
        np.testing.assert_allclose(new, old, rtol=2**-8, atol=1e-7)
    grid.settle(model)
    grid.settle(other)
    assert all(np.array_equal(old, new) for old, new in zip(once, model.get_weights(), strict=True))
    assert all(np.array_equal(old, new) for old, new in zip(once, other.get_weights(), strict=True))


QUICK = Config(
    data="digits", recipe="quick", model="fast", optimizer="adam", learning_rate=0.01, epochs=3, batch_size=64
)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A run of each precision."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        precision: training.train(dataclasses.replace(QUICK, precision=precision), runs=folder)
        for precision in ("float32", "mixed_bfloat16")
    }


def test_a_run_in_bfloat16_keeps_rounded_kernels(learnt):
    heads = {
        name: np.asarray(models.head(models.load(run.model_path)).kernel) for name, run in learnt.items()
    }
    assert lies_on_grid(heads["mixed_bfloat16"])
    assert not lies_on_grid(heads["float32"])


def test_its_scores_are_those_of_the_kept_model(learnt):
    run = learnt["mixed_bfloat16"]
    kept = training.splits.open_split(run, "validation")
    answers = models.predict_fn(models.load(run.model_path))(kept.images)
    assert run.scores("validation")["accuracy"] == pytest.approx((answers.argmax(1) == kept.labels).mean())


def test_engines_in_bfloat16_answer_more_nearly_alike(learnt, tmp_path):
    if "openvino" not in engines.available() or "bfloat16" not in engines.precisions("openvino"):
        pytest.skip("no engine computes in bfloat16 here")
    fine = models.load(learnt["float32"].model_path)
    images = training.splits.open_split(learnt["float32"], "validation").images

    def moved(model):
        file = onnx(model, tmp_path / "model.onnx", images=images[:8], calibrator=PLAIN)
        exact, short = (engines.open_file(file, "openvino", kind) for kind in ("float32", "bfloat16"))
        return np.abs(exact(images) - short(images)).max(axis=1).mean()

    before = moved(fine)
    grid.settle(fine)
    assert moved(fine) < before / 2
