"""Models of several kinds with weights that make a difference, to export and to open again."""

import keras
import numpy as np
import pytest

from tenfold import models
from tenfold.abstention import fit_familiarity
from tenfold.calibration import Calibrator
from tenfold.exporting.content import Content

SMALL = {
    "convmixer": {"width": 32, "depth": 2},
    "convnext": {"width": 16, "depth": 1},
    "inception": {"width": 0.25},
    "mobilenetv2": {"width": 0.25},
    "resnet18": {"width": 8},
    "resnet20": {"depth": 8, "attention": "cbam"},
    "resnet56": {"depth": 8, "shortcut": "projection", "attention": "se"},
    "vgg16": {"depth": 11, "width": 8},
    "vit": {"width": 32, "depth": 2, "heads": 2},
    "wideresnet": {"depth": 10, "widen": 1, "dropout": 0.1},
}
"""Options that make large architectures small enough for tests, and have a turn at each kind of part."""


def architectures(*quick):
    """All of `models.BUILDERS` for a costly test; those in `SMALL`, except `quick`, run as slow ones."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in SMALL and name not in quick else name
        for name in models.BUILDERS
    ]


def pictures(count=24, size=32):
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)


def shaken(model):
    """Gives batch norm the kind of statistics that training leaves, so that folding it makes a difference."""
    random = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return model


def residual(size=32, classes=10):
    """A residual network of three blocks, as one would write it with Keras."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    for filters, strides in ((8, 1), (16, 2), (32, 2)):
        y = keras.layers.BatchNormalization(momentum=0.8)(x)
        y = keras.layers.ReLU()(y)
        short = keras.layers.Conv2D(filters, 1, strides=strides, use_bias=False)(y)
        y = keras.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(y)
        y = keras.layers.BatchNormalization(momentum=0.8)(y)
        y = keras.layers.ReLU()(y)
        y = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        x = keras.layers.Add()([y, short])
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="residual")


def preprocessing(size=32, classes=10):
    """A network whose first layers switch training mode on for the others, unless they are told not to."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.Resizing(16, 16)(x)
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(8, 3)(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes)(x)
    return keras.Model(inputs, outputs, name="preprocessing")


BUILDERS = {
    "fast": lambda: models.build("fast", (32, 32, 3), 10, options={"width": 0.25}),
    "tiny": lambda: models.build("tiny", (32, 32, 3), 10),
    "residual": residual,
    "preprocessing": preprocessing,
}


def built(name):
    """One of `BUILDERS`, with the same weights every time, and answers that are no near ties."""
    keras.utils.set_random_seed(3)
    model = shaken(BUILDERS[name]())
    last = models.head(model)
    last.set_weights([8 * weight for weight in last.get_weights()])
    return model


def rich(model, images, **more):
    """All that can go into a file."""
    answers, features = models.observe_fn(model)(images)
    known = fit_familiarity(features, answers.argmax(axis=1), model.output_shape[-1])
    calibrator = Calibrator(1.4, (-1.1, 1.3))
    limit = float(np.median(calibrator(answers).max(axis=1)))
    return Content(model, images, {}, "flip", calibrator, known, limit, **more)


def awake(network, pixels):
    """A fresh network whose batch norms know pictures, so that something of these comes out at its end."""
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    network(pixels, training=True)
    for layer, momentum in zip(norms, kept, strict=True):
        layer.momentum = momentum
    return network
