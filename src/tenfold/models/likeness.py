"""Whether a model that was rebuilt is the same as the one it was made of: asked, not believed."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from tenfold import layers
from tenfold.models.layout import relaid


def faithful(
    model: keras.Model,
    data_format: layers.DataFormat,
    precision: str = "float32",
    images: np.ndarray | None = None,
    *,
    learning: bool = False,
) -> keras.Model:
    """`layout.relaid`, held to the model it was made of on pictures.

    Args:
        model, data_format, precision: as for `relaid`.
        images: uint8 (n, height, width, channels) to compare on; a few suffice. Default: noise.
        learning: compare in training mode too, chance left out.

    Raises:
        ValueError: it cannot be rebuilt, or answers otherwise; the message says which in few words.
    """
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (4, *model.input_shape[1:]), np.uint8)
    try:
        other = relaid(model, data_format, precision)
        differs = difference(model, other, images, rough=precision != "float32", learning=learning)
    except Exception as error:  # what a user's layer raises when it is made again, nobody knows beforehand
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"a layer cannot be made again ({reason})") from error
    if differs:
        raise ValueError(differs)
    return other


def rebuilt(model: keras.Model, data_format: layers.DataFormat, precision: str = "float32") -> keras.Model:
    """A portable model in another layout or precision; itself where that would be another model.

    Args:
        model: channels_last, float32.
        data_format, precision: as for `relaid`.
    """
    if (data_format, precision) == ("channels_last", "float32"):
        return model
    try:
        return faithful(model, data_format, precision)
    except ValueError:
        return model


def difference(
    model: keras.Model, other: keras.Model, images: np.ndarray, *, rough: bool = False, learning: bool = True
) -> str:
    """What tells two models apart, in few words; nothing where they are the same but for rounding.

    Args:
        model, other: to compare; both have their weights of before afterwards.
        images: (n, height, width, channels) to ask both about.
        rough: `other` computes in bfloat16, so that nothing but nonsense counts.
        learning: compare in training mode too, chance left out of layers that draw.
    """
    if len(model.trainable_weights) != len(other.trainable_weights):
        return "other weights would learn"
    expected, found = (answers(each, images, training=False) for each in (model, other))
    if apart(expected, found, 1.0 if rough else 1e-4):
        return f"its answers would differ by {np.abs(expected - found).max():.2g}"
    if not learning:
        return ""
    with _calm(model), _calm(other):
        (expected, moved), (found, moved_too) = (_practice(each, images) for each in (model, other))
    if moved != moved_too or apart(expected, found, 10.0 if rough else 1e-2):  # batch norm enlarges rounding
        return "it would learn otherwise"
    return ""


def apart(expected: np.ndarray, found: np.ndarray, tolerance: float) -> bool:
    """Whether answers differ by more than `tolerance`, of the largest expected one where that is above 1."""
    limit = tolerance * max(1.0, float(np.abs(expected).max()))
    return not np.isfinite(found).all() or bool(np.abs(expected - found).max() > limit)


def answers(model: keras.Model, images: np.ndarray, *, training: bool) -> np.ndarray:
    """What a model gives for pictures (n, height, width, channels), as float32 (n, classes)."""
    outputs = model(keras.ops.convert_to_tensor(images.astype(np.float32)), training=training)
    return np.asarray(keras.ops.convert_to_numpy(outputs), np.float32)


def _practice(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, int]:
    """The answers in training mode, and how many weights moved by that; these are moved back."""
    before = model.get_weights()
    found = answers(model, images, training=True)
    moved = sum(bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True))
    model.set_weights(before)
    return found, moved


@contextlib.contextmanager
def _calm(model: keras.Model) -> Iterator[None]:
    """Keeps layers that draw at random, dropout for one, in inference mode inside the block."""

    def quiet(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: call(*args, **{**options, "training": False})

    # Also the layers inside layers, which `Model.layers` does not name.
    drawing = [
        layer
        for layer in model._flatten_layers()
        if (hasattr(layer, "seed_generator") or hasattr(layer, "generator"))
        and "training" in inspect.signature(layer.call).parameters
    ]
    for layer in drawing:
        vars(layer)["call"] = quiet(layer.call)
    try:
        yield
    finally:
        for layer in drawing:
            del vars(layer)["call"]
