"""Schedules and optimizers: rates where they should be, and Muon against its definition."""

import keras
import numpy as np
import pytest

from tenfold import optimizers
from tenfold.config import Config
from tenfold.constraints import Mirrored


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_the_linear_schedule_climbs_then_falls_to_nothing():
    schedule = optimizers.Annealed(2.0, steps=100, warmup=0.2, shape="linear")
    assert rates(schedule, [0, 9, 19, 60, 100]) == pytest.approx([0.1, 1.0, 2.0, 1.0, 0.0], abs=1e-6)


def test_the_cosine_schedule_is_halfway_down_halfway_through():
    schedule = optimizers.Annealed(2.0, steps=100, shape="cosine")
    assert rates(schedule, [0, 50, 100, 120]) == pytest.approx([2.0, 1.0, 0.0, 0.0], abs=1e-6)


def test_a_constant_schedule_may_still_warm_up():
    schedule = optimizers.Annealed(2.0, steps=100, warmup=0.1, shape="constant")
    assert rates(schedule, [4, 50, 99]) == pytest.approx([1.0, 2.0, 2.0])


def test_a_schedule_survives_its_settings():
    schedule = optimizers.Annealed(2.0, steps=100, warmup=0.2, shape="cosine")
    again = optimizers.Annealed.from_config(schedule.get_config())
    assert rates(again, range(0, 100, 7)) == rates(schedule, range(0, 100, 7))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "muon"])
def test_every_optimizer_fits_a_small_problem_and_spares_norms_from_decay(name):
    keras.utils.set_random_seed(0)
    settings = Config(optimizer=name, learning_rate=0.02, momentum=0.9, weight_decay=0.001)
    optimizer = optimizers.build(settings, steps=60)
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    model.compile(optimizer, "mse")
    x = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype("float32")
    y = x.mean(axis=(1, 2, 3))[:, None]
    first = model.train_on_batch(x, y)
    for _ in range(60):
        last = model.train_on_batch(x, y)
    assert last < 0.5 * first
    decayed = {v.path.split("/")[-1] for v in model.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


def test_muon_steps_a_convolution_by_an_orthogonal_matrix():
    kernel = keras.Variable(np.random.default_rng(0).normal(size=(3, 3, 8, 16)).astype("float32"))
    gradient = np.random.default_rng(1).normal(size=(3, 3, 8, 16)).astype("float32")
    optimizer = optimizers.ConvMuon(learning_rate=0.5, momentum=0.6, steps=8)
    start = np.array(kernel) * 4 / np.linalg.norm(np.array(kernel))  # the norm it keeps: root(16 filters)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [kernel])
    moved = (start - np.array(kernel)).reshape(-1, 16) / 0.5
    values = np.linalg.svd(moved, compute_uv=False)
    assert values.min() > 0.6  # Newton-Schulz brings all singular values near 1
    assert values.max() < 1.3
    left, _, right = np.linalg.svd(gradient.reshape(-1, 16), full_matrices=False)
    similarity = (moved * (left @ right)).sum() / 16
    assert similarity > 0.8  # towards the orthogonal matrix nearest to the gradient


def test_muon_steps_mirrored_kernels_by_a_whole_orthogonal_matrix_that_is_mirrored():
    mirrored = Mirrored()
    kernel = keras.Variable(np.zeros((3, 3, 8, 16), "float32"))
    kernel.constraint = mirrored
    gradient = np.random.default_rng(1).normal(size=(3, 3, 8, 16)).astype("float32")
    optimizers.ConvMuon(learning_rate=1.0, steps=8).apply([keras.ops.convert_to_tensor(gradient)], [kernel])
    moved = np.array(kernel)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(mirrored(moved)), moved, atol=1e-6)
    values = np.linalg.svd(moved.reshape(-1, 16), compute_uv=False)
    assert values.min() > 0.6  # the mean of a step and its mirror image would be shorter
    assert values.max() < 1.3


def test_muon_leaves_dense_kernels_and_norms_to_adam():
    optimizer = optimizers.ConvMuon(learning_rate=0.1, adam_ratio=0.01)
    dense = keras.Variable(np.ones((5, 3), "float32"))
    optimizer.apply([keras.ops.convert_to_tensor(np.full((5, 3), 7.0, "float32"))], [dense])
    np.testing.assert_allclose(np.array(dense), 1 - 0.1 * 0.01, atol=1e-5)  # Adam's first step is the rate


def test_muon_survives_its_settings():
    optimizer = optimizers.ConvMuon(
        learning_rate=0.1, momentum=0.7, adam_ratio=0.02, steps=4, weight_decay=0.01
    )
    again = optimizers.ConvMuon.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
