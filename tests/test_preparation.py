"""Preparation: settings decided with a reason, a model compiled as the settings say."""

import dataclasses

import keras
import numpy as np
import pytest

from tenfold import layers, machine, preparation
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset
from tenfold.errors import UsageError

RUNNING = keras.backend.backend()


@pytest.fixture
def dataset():
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    return Dataset(images, np.arange(40) % 4, tuple("abcd"), tuple(map(str, range(40))))


@pytest.mark.parametrize(("gain", "precision"), [(2.1, "mixed_bfloat16"), (0.6, "float32")])
def test_auto_precision_takes_what_was_measured_faster(monkeypatch, gain, precision):
    monkeypatch.setattr(machine, "accelerator", lambda: None)
    monkeypatch.setattr(machine, "bfloat16_gain", lambda: gain)
    settings, reason = preparation.resolve(Config(precision="auto"))
    assert settings.precision == precision
    assert f"{gain:.1f} times" in reason
    assert settings.backend == RUNNING


@pytest.mark.parametrize(("native", "precision"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_an_accelerator_decides_by_what_it_is(dataset, monkeypatch, native, precision):
    card = machine.Accelerator("cuda", "a fine card", 10**9, native)
    monkeypatch.setattr(machine, "accelerator", lambda: card)
    settings, reason = preparation.resolve(Config(model="fast", time=60))
    assert settings.precision == precision
    assert "a fine card" in reason
    assert "nothing was timed" in reason
    assert preparation.fit_model(settings, dataset) == settings  # measured on processors


def test_a_precision_that_is_asked_for_is_taken():
    assert preparation.resolve(Config(precision="float32"))[0].precision == "float32"


def test_a_backend_that_does_not_run_is_refused_with_the_cure():
    other = "jax" if RUNNING != "jax" else "torch"
    with pytest.raises(UsageError, match=f"KERAS_BACKEND={other}"):
        preparation.resolve(Config(backend=other))


def test_the_model_is_built_for_training_and_seeded(dataset):
    settings = preparation.resolve(Config(model="fast", optimizer="sgd", precision="mixed_bfloat16"))[0]
    models = []
    for _ in range(2):
        preparation.set_up(settings)
        models.append(preparation.build(settings, dataset))
    first, again = models
    assert first.output_shape == (None, 4)
    assert first.get_layer("whitening").data_format == layers.training_format()
    assert all((a == b).all() for a, b in zip(first.get_weights(), again.get_weights(), strict=True))


def test_label_smoothing_takes_one_hot_labels(dataset):
    settings = Config(model="tiny", label_smoothing=0.1, precision="float32")
    model = preparation.build(settings, dataset)
    results = model.train_on_batch(dataset.images, np.eye(4, dtype="float32")[dataset.labels])
    assert np.isfinite(results).all()


@pytest.mark.parametrize(("model", "kept"), [("fast", 0.5), ("plain", 0.0)])
def test_small_pictures_are_for_models_of_any_size(model, kept):
    settings = preparation.resolve(Config(model=model, small_pictures=0.5, precision="float32"))[0]
    assert settings.small_pictures == (0.0 if RUNNING == "tensorflow" else kept)


def test_pictures_are_chosen_under_torch_alone():
    settings = preparation.resolve(Config(candidates=2, precision="float32"))[0]
    assert settings.candidates == (2 if RUNNING == "torch" else 1)


def test_only_the_clock_decides_the_size_and_only_where_nobody_did(dataset, monkeypatch):
    monkeypatch.setattr(machine, "accelerator", lambda: None)
    monkeypatch.setattr(machine, "convolution_speed", lambda kind: 1e9)
    timed = Config(time=60, model="fast", precision="float32")
    assert 0 < preparation.fit_model(timed, dataset).model_options["width"] <= 1
    deep = dataclasses.replace(timed, model_options={"head_scale": 0.5})
    assert preparation.fit_model(deep, dataset).model_options["head_scale"] == 0.5
    for settings in (
        dataclasses.replace(timed, model_options={"width": 0.125}),
        dataclasses.replace(timed, model_options={"depth": 4}),
        dataclasses.replace(timed, model="plain"),
        dataclasses.replace(timed, time=None),
    ):
        assert preparation.fit_model(settings, dataset) == settings


def test_kernels_are_mirrored_in_little_time_where_pictures_may_be(dataset, monkeypatch):
    monkeypatch.setattr(machine, "accelerator", lambda: None)

    def mirrors(speed, flip, **options):
        monkeypatch.setattr(machine, "convolution_speed", lambda kind: speed)
        change = Augmentation(flip=flip)
        settings = Config(
            time=60, model="fast", precision="float32", augmentation=change, model_options=options
        )
        return preparation.fit_model(settings, dataset).model_options["mirror"]

    slow, quick = 1.0, 1e15  # operations a second: less than an epoch, and many of them
    assert mirrors(slow, "alternate")
    assert mirrors(slow, "both")
    assert not mirrors(slow, "none")
    assert not mirrors(slow, "vertical")
    assert not mirrors(slow, "alternate", mirror=False)  # as asked for
    assert not mirrors(quick, "alternate")
    assert mirrors(quick, "none", mirror=True)
