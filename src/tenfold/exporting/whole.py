"""A run's model as one Keras model that holds all that belongs to its answers.

It is made of stock layers and of `keras.ops` alone, so that a file of it opens without Tenfold, under each
backend. TensorFlow's formats are written from that file.
"""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import keras
from keras import ops

from tenfold import models
from tenfold.calibration import MARGIN, UNSURE, Calibrator
from tenfold.exporting.content import Content
from tenfold.runtimes import METADATA
from tenfold.views import indices

_FAR = 1e30  # takes a class out of a maximum; less than infinity, of which a difference with itself is nan


def keras_file(content: Content, path: Path) -> None:
    """Writes the `whole` model as a .keras file, with its metadata as a file of their own inside.

    Args:
        content: what goes in.
        path: the file, ending in .keras.
    """
    whole(content).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(METADATA, json.dumps(content.told, ensure_ascii=False))


def whole(content: Content) -> keras.Model:
    """The model from uint8 pictures to what a file answers.

    Its inner model is called with `training=False` once and for all: Keras' preprocessing layers would
    otherwise switch training mode on for all that follows them, whoever calls the file.

    Returns:
        A model that gives probabilities (batch, classes), or a dict of `content.outputs` where it gives more.
    """
    model, views = content.model, content.view_set
    last = None if content.known is None else models.head(model)
    body = keras.Model(model.inputs, [_logits(model), *([] if last is None else [last.input])])

    image = keras.Input(model.input_shape[1:], dtype="uint8", name="image")
    pixels = ops.cast(image, "float32")
    if len(views) > 1:  # all views of all pictures are one batch, (views * batch, h, w, 3)
        places = [indices(view, *model.input_shape[1:3]) for view in views]
        looks = [_taken(pixels, rows.tolist(), columns.tolist()) for rows, columns in places]
        pixels = ops.concatenate(looks, axis=0)
    found = body(pixels, training=False)
    logits, *features = found if isinstance(found, list | tuple) else [found]
    logarithms = _calibrated(logits, content.calibrator)
    if len(views) > 1:
        logarithms = ops.reshape(logarithms, (len(views), -1, logits.shape[-1]))
        logarithms = sum(ops.take(logarithms, at, axis=0) * view.weight for at, view in enumerate(views))
    answers = {"probabilities": ops.softmax(logarithms, axis=-1)}
    if content.known is not None and features:
        seen = features[0]
        if len(views) > 1:
            seen = ops.take(ops.reshape(seen, (len(views), -1, seen.shape[-1])), 0, axis=0)
        answers["familiarity"] = _familiarity(seen, content)
    if content.sure_from is not None:
        sure = ops.greater_equal(ops.max(answers["probabilities"], axis=-1), content.sure_from)
        if content.known is not None and features:
            familiar = ops.greater_equal(answers["familiarity"], content.known.least)
            sure = ops.logical_and(sure, familiar)
        answers["sure"] = sure
    return keras.Model(image, answers if len(answers) > 1 else answers["probabilities"], name=model.name)


def _taken(pixels: Any, rows: list[int], columns: list[int]) -> Any:
    return ops.take(ops.take(pixels, rows, axis=1), columns, axis=2)


def _logits(model: keras.Model) -> Any:
    """What the model's softmax takes, or what it ends with where it has none."""
    last = model.layers[-1]
    if models.returns_logits(model):
        return model.outputs[0]
    if isinstance(last, keras.layers.Softmax):
        return last.input
    linear = type(last).from_config({**last.get_config(), "activation": "linear"})
    outputs = linear(last.input)
    linear.set_weights(last.get_weights())
    return outputs


def _calibrated(logits: Any, calibrator: Calibrator) -> Any:
    """`calibrator` in Keras: the logarithms of its probabilities, each row less some number of its own.

    Of operations that LiteRT has too; with logarithms of sums of powers written out.
    """
    logits = logits * (1 / calibrator.temperature)
    if calibrator.curve is None:
        return logits
    offset, slope = calibrator.curve
    best, place = ops.top_k(logits, 1)  # argmax takes bits apart under TensorFlow, which LiteRT cannot
    first = ops.one_hot(ops.reshape(place, (-1,)), logits.shape[-1], dtype="float32")
    others = logits - first * _FAR
    second = ops.max(others, axis=-1, keepdims=True)
    rest = second + ops.log(ops.sum(ops.exp(others - second), axis=-1, keepdims=True))
    gap = rest - best
    unsure = ops.minimum(gap, 0.0) - ops.log(1.0 + ops.exp(-ops.abs(gap)))  # log of 1 - confidence
    odds = offset - slope * ops.maximum(unsure, math.log(UNSURE))
    return logits + first * (ops.maximum(odds + rest, second + MARGIN) - best)


def _familiarity(features: Any, content: Content) -> Any:
    """`abstention.Familiarity` of features (batch, features): (batch,)."""
    centres = content.known.centres  # type: ignore[union-attr]  # asked by the caller
    cosines = keras.layers.Dense(len(centres), use_bias=False, name="centres")
    unit = keras.layers.UnitNormalization(axis=-1)(features)
    cosine = cosines(unit)
    cosines.set_weights([centres.T])
    return ops.max(cosine, axis=-1)
