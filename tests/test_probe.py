"""A head alone: features stand in for pictures, each epoch counts, and an interrupt keeps what was learnt."""

import dataclasses

import keras
import numpy as np
import pytest

from tenfold import callbacks, models, probe, runs, splits
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset, Source
from tenfold.models import heads

SETTINGS = Config(
    from_run="runs/a",
    model="tiny",
    model_options={heads.OPTION: 0.0},
    precision="float32",
    epochs=4,
    augmentation=Augmentation(flip="random", mixup=0.2),
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return models.build("tiny", (32, 32, 3), 4, options=SETTINGS.model_options)


@pytest.fixture
def parts():
    random = np.random.default_rng(0)

    def dataset(count):
        images = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
        return Dataset(images, np.arange(count) % 4, tuple("abcd"), tuple(map(str, range(count))))

    source = Source("test", "here", tuple("abcd"), ("train",), lambda split: dataset(1))
    return splits.Parts(source, dataset(40), dataset(12), "made up")


def learn(model, parts, tmp_path, fit, settings=SETTINGS):
    """What `probe.learn` gives and leaves, and what `fit` was given."""
    run = runs.create(tmp_path / "runs", "a", exist_ok=True)
    kept, given = [], []
    best = callbacks.Best(settings.monitor, kept.append)
    progress = callbacks.Progress(run, 40, 32, best, lambda moment: None)

    def fitted(*what):
        given.append(what)
        fit(*what)

    try:
        return (
            probe.learn(model, settings, parts, best, progress, fitted, [], lambda text: None),
            best,
            kept,
            given,
        )
    except KeyboardInterrupt:
        return None, best, kept, given


def some_epochs(head, settings, parts, watchers):
    """Two epochs of which the first is the better one."""
    best = watchers[0]
    for epoch, accuracy in enumerate((0.5, 0.25)):
        best.set_model(head)
        head.get_layer(heads.LOGITS).set_weights(
            [np.full((head.input_shape[-1], 4), 1.0 - epoch), np.zeros(4)]
        )
        best.on_epoch_end(epoch, {"val_accuracy": accuracy})


def test_features_stand_in_for_pictures(model, parts, tmp_path):
    learnt, _, _, ((head, settings, seen, _),) = learn(model, parts, tmp_path, some_epochs)
    # 128 before the head, and 2 x 4 x 12 of each of two depths; every picture is there mirrored too.
    assert seen.train.images.shape == (80, 1, 1, 320)
    assert (seen.train.labels == np.tile(parts.train.labels, 2)).all()
    mirrored = heads.body(model).predict(parts.train.images[:, :, ::-1], verbose=0)
    np.testing.assert_allclose(seen.train.images[40:, 0, 0], mirrored, rtol=1e-4, atol=1e-4)
    expected = heads.body(model).predict(parts.validation.images, verbose=0)
    np.testing.assert_allclose(learnt.held.images[:, 0, 0], expected, rtol=1e-4, atol=1e-4)
    assert head.input_shape == (None, 1, 1, 320)
    assert not settings.soft_labels  # nothing is mixed: augmentation is for pictures
    assert settings.last_epoch == 4


def test_the_features_are_brought_to_one_scale(model, parts, tmp_path):
    head = learn(model, parts, tmp_path, some_epochs)[3][0][0]
    images = np.concatenate([parts.train.images, parts.train.images[:, :, ::-1]])
    features = heads.body(model).predict(images, verbose=0)
    standard = keras.Model(head.inputs, head.get_layer(heads.STANDARD).output)
    found = standard.predict(features[:, None, None], verbose=0)
    moving = features.std(axis=0) > features.std(axis=0).mean()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(found.std(axis=0)[moving], 1000 / 320, rtol=0.05)


def test_the_best_epoch_is_left_in_the_model_and_kept_once(model, parts, tmp_path):
    _, best, kept, _ = learn(model, parts, tmp_path, some_epochs)
    assert (best.epoch, best.value, kept) == (1, 0.5, [model])
    assert (model.get_layer(heads.LOGITS).get_weights()[0] == 1).all()
    assert all((a == b).all() for a, b in zip(best.weights, model.get_weights(), strict=True))


def test_an_interrupt_keeps_what_was_learnt(model, parts, tmp_path):
    def broken(*what):
        some_epochs(*what)
        raise KeyboardInterrupt

    _, best, kept, _ = learn(model, parts, tmp_path, broken)
    assert (best.epoch, kept) == (1, [model])

    def at_once(*what):
        raise KeyboardInterrupt

    assert learn(model, parts, tmp_path, at_once)[1].weights is None


def test_without_validation_pictures_nothing_is_scored(model, parts, tmp_path):
    alone = dataclasses.replace(parts, validation=None)
    assert learn(model, alone, tmp_path, lambda *what: None)[0] is None
