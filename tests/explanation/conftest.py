"""Small models of pictures whose evidence lies in one corner, and a finished run on the digits."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from tenfold import datasets, runs
from tenfold.config import Augmentation
from tenfold.explanation import Explainer
from tenfold.recipes import recipe
from tenfold.training import train

SIDE, PATCH = 24, 6
COLOURS = ((230, 30, 30), (30, 30, 230), (30, 200, 30))


def put(image, row, column, colour, random):
    """A square of a colour, not quite even: of equal pixels in a pool, any one may get the derivative."""
    uneven = random.integers(-15, 16, (PATCH, PATCH, 3))
    image[row : row + PATCH, column : column + PATCH] = np.array(colour) + uneven


def corner_pictures(count, seed=0):
    """Noise; a square of the class's colour near the upper left corner, a grey one elsewhere.

    Class 3 has the grey one alone: without it a model may know a class by what is not there.
    """
    random = np.random.default_rng(seed)
    images = random.integers(60, 120, (count, SIDE, SIDE, 3), np.uint8)
    labels = random.integers(0, 4, count)
    for image, label in zip(images, labels, strict=True):
        if label < len(COLOURS):
            put(image, *random.integers(1, 5, 2), COLOURS[label], random)
        put(image, *random.integers(13, SIDE - PATCH, 2), (200, 200, 200), random)
    return images, labels


def sequential():
    """channels last, valid convolutions, softmax, flattened: the shape of the classics."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(12, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def functional(data_format="channels_first"):
    """Linear convolutions, batch norm and activations apart, a sum, a global pool, logits."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = inputs
    if data_format == "channels_first":
        x = keras.layers.Permute((3, 1, 2))(x)
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    for _ in range(2):
        x = keras.layers.Conv2D(12, 3, padding="same", data_format=data_format)(x)
        x = keras.layers.MaxPooling2D(2, data_format=data_format)(x)
        x = keras.layers.BatchNormalization(axis=1 if data_format == "channels_first" else -1)(x)
        x = keras.layers.Activation("gelu")(x)
    more = keras.layers.Conv2D(12, 3, padding="same", data_format=data_format)(x)
    x = keras.layers.Add()([x, more])
    x = keras.layers.GlobalAveragePooling2D(data_format=data_format)(x)
    return keras.Model(inputs, keras.layers.Dense(4)(x))


def nested():
    """A model inside a model, and a softmax that is a layer of its own."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    inner = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(12, 3, padding="same", activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
        ]
    )
    x = keras.layers.Dense(4)(inner(x))
    return keras.Model(inputs, keras.layers.Softmax()(x))


BUILDERS = {
    "sequential": sequential,
    "functional": functional,
    "channels last": lambda: functional("channels_last"),
    "nested": nested,
}


def fitted(name):
    keras.utils.set_random_seed(0)
    model = BUILDERS[name]()
    images, labels = corner_pictures(384)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=name in ("functional", "channels last"))
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(images, labels, batch_size=32, epochs=4, verbose=0)
    return model


@pytest.fixture(scope="session")
def models_of_corners():
    """Trained models by the names of `BUILDERS`."""
    return {name: fitted(name) for name in BUILDERS}


@pytest.fixture(scope="session", params=BUILDERS)
def model(request, models_of_corners):
    """Each of the trained models."""
    return models_of_corners[request.param]


@pytest.fixture(scope="session")
def corners():
    """Forty new pictures with a coloured square, and their classes."""
    images, labels = corner_pictures(80, seed=1)
    coloured = np.flatnonzero(labels < len(COLOURS))[:40]
    return images[coloured], labels[coloured]


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Three epochs of the classic `plain`, whose convolutions have no padding."""
    settings = dataclasses.replace(
        recipe("plain"), data="digits", epochs=3, augmentation=Augmentation(), precision="float32"
    )
    return train(settings, runs=tmp_path_factory.mktemp("runs"), name="digits")


@pytest.fixture(scope="session")
def told():
    """The sentences that `explainer` has said."""
    return []


@pytest.fixture(scope="session")
def explainer(run, told):
    """The run, opened."""
    return Explainer(run, tell=told.append)


@pytest.fixture(scope="session")
def digits():
    """The training and validation pictures of the run."""
    return datasets.load("digits", "train")


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run, for tests that change it."""
    return runs.open_run(shutil.copytree(run.path, tmp_path / "copy"))


@pytest.fixture(scope="session")
def forget_data():
    """A function that lets a run's data be gone."""

    def forget(run):
        text = (run.path / "config.yaml").read_text().replace("data: digits", "data: gone/")
        run.write("config.yaml", text)

    return forget
