"""A model of the user's own, made ready to train: looked over, brought to the contract, and to its fast form.

The contract is that of every model here: pixels 0..255 in, one answer a class out, as logits or as a softmax,
opened from a file without running code. The portable form is the user's model itself, or that model with what
it lacked around it.
"""

import dataclasses
import hashlib
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tenfold import keepsakes, layers, models
from tenfold.config import Config
from tenfold.errors import DataError, UsageError
from tenfold.models import layout, likeness, sources

_STARTS = (keras.layers.Rescaling, keras.layers.Normalization)
_SCALERS = (*_STARTS, keras.layers.BatchNormalization, keras.layers.LayerNormalization)
_ARITHMETIC = ("Multiply", "Divide", "TrueDivide", "Subtract")  # of keras.ops, or an operator between tensors
_UNIT = 1 / 255


@dataclass(frozen=True)
class Own:
    """A model of the user's own, ready to compile.

    Attributes:
        model: in the form that trains fastest; `layout.original` leads to the portable one.
        precision: what it computes in.
        reason: for that precision, where it is not the one that was asked for.
        scaling: "unit" where a layer in front brings pixels to 0..1, "none" where it takes them as they are.
        kept: files for the run folder, by name.
        notes: what was found and done, in sentences.
    """

    model: keras.Model
    precision: Literal["float32", "mixed_bfloat16"]
    reason: str
    scaling: Literal["none", "unit"]
    kept: Mapping[str, bytes | dict[str, Any]]
    notes: tuple[str, ...]

    def applied(self, settings: Config) -> Config:
        """The settings with what was decided about the model."""
        return dataclasses.replace(settings, precision=self.precision, scaling=self.scaling)


def adopt(settings: Config, images: np.ndarray, classes: int, given: keras.Model | None = None) -> Own:
    """Opens the model that `settings.model` names and makes it ready.

    Args:
        settings: with precision decided.
        images: uint8 (n, height, width, 3), a few training pictures: forms are compared on them.
        classes: how many there are.
        given: the model itself, where it is in memory.

    Raises:
        UsageError: it cannot be had, fits other pictures or classes, or cannot be saved and opened again.
        DataError: a file that cannot be opened as a model.
    """
    shape = images.shape[1:]
    source = sources.read(settings.model, shape, classes, settings.model_options, given)
    found, content = _reopened(_graph(source, shape), source.label)
    _check(found, source.label, shape, classes)
    scaling, told = _scaling(settings, source, found)
    portable, ending = _portable(found, source.label, images, scaling)
    model, precision, form = _fastest(portable, source.label, settings.precision, images)
    kept: dict[str, Any] = dict(source.kept)
    if not kept:
        digest = hashlib.sha256(content).hexdigest()
        kept = {keepsakes.START: content, keepsakes.NOTES: {"model": settings.model, "sha256": digest}}
    notes = (form, *told, *ending, *_origins(source, found))
    kept[keepsakes.NOTES] = {**kept[keepsakes.NOTES], "notes": list(notes)}
    reason = "" if precision == settings.precision else "the model stays in float32"
    return Own(model, precision, reason, scaling, kept, notes)


def _graph(source: sources.Source, shape: tuple[int, ...]) -> keras.Model:
    """The model with an input and an output, whichever way it was written."""
    model = source.model
    try:
        if isinstance(model, keras.Sequential) and not hasattr(model, "inputs"):
            model.build((None, *shape))
        if hasattr(model, "inputs"):
            return model
        inputs = keras.Input(shape, name="image")
        return keras.Model(inputs, model(inputs), name=model.name)
    except Exception as error:  # whatever a user's layer raises
        raise UsageError(
            f"{source.label} cannot take pictures of {shape[0]} x {shape[1]}: {models.reason(error)} "
            "Expected: a model of this --image-size."
        ) from error


def _reopened(model: keras.Model, label: str) -> tuple[keras.Model, bytes]:
    """The model as its file gives it back, and the file: what cannot be opened again is of no use later."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / keepsakes.START
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a lambda, which is told below
                model.save(path)
            return models.load(path), path.read_bytes()
        except Exception as error:  # whatever a user's layer raises when it is asked for its settings
            cause = error.__cause__ if isinstance(error, DataError) and error.__cause__ else error
            raise UsageError(
                f"{label} cannot be saved and opened again: {models.reason(cause)} Mend it there."
            ) from error


def _check(model: keras.Model, label: str, shape: tuple[int, ...], classes: int) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UsageError(
            f"{label} must have one input and one output. Received: inputs={len(model.inputs)}, "
            f"outputs={len(model.outputs)}"
        )
    taken, given = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    if len(taken) != 4 or taken[3] not in (None, 3) or taken[0] is not None:
        raise UsageError(
            f"{label} must take pictures of any number, channels last: (None, height, width, 3). "
            f"Received: input shape={taken}"
        )
    if any(side not in (None, wanted) for side, wanted in zip(taken[1:3], shape[:2], strict=True)):
        raise UsageError(
            f"{label} takes pictures of {taken[1]} x {taken[2]}, and these are {shape[0]} x {shape[1]}. "
            f"Expected: --image-size {taken[1]}, or a model of {shape[0]} x {shape[1]}. "
            f"Received: input shape={taken}"
        )
    if len(given) != 2 or given[1] != classes:
        raise UsageError(
            f"{label} must answer with one number a class: (None, {classes}). Expected: a last layer "
            f"Dense({classes}), with softmax or bare; --from RUN puts a new head on trained layers. "
            f"Received: output shape={given}"
        )
    if getattr(models.last_step(model), "activation", None) is keras.activations.sigmoid:
        raise UsageError(
            f"{label} ends in a sigmoid, which tells each class by itself. Expected: softmax, or no "
            "activation. Received: activation=sigmoid"
        )


def _scaling(
    settings: Config, source: sources.Source, model: keras.Model
) -> tuple[Literal["none", "unit"], tuple[str, ...]]:
    """What is put in front of the model, and what to say of it."""
    if settings.scaling != "auto":
        return settings.scaling, ()
    seen = _scales(model)
    if seen is None:
        told = f"{source.label} does not show whether it scales its pixels; it is given 0 to 255. "
        return "none", (f"{told}If it expects 0 to 1: --scaling unit.",)
    if seen:
        return "none", ()
    told = f"{source.label} has no scaling at its start, so Rescaling(1/255) was put in front of it. "
    return "unit", (f"{told}If it expects 0 to 255: --scaling none.",)


def _scales(model: keras.Model) -> bool | None:
    """Whether a model scales its pixels before its first weights; None where that cannot be seen."""
    for operation, _, _ in layout.steps(model):
        kind = type(operation)
        if isinstance(operation, _SCALERS) or (
            not isinstance(operation, keras.Layer) and kind.__name__ in _ARITHMETIC
        ):
            return True
        if not kind.__module__.startswith("keras."):
            inner = operation._flatten_layers() if isinstance(operation, keras.Layer) else ()
            return True if any(isinstance(layer, _STARTS) for layer in inner) else None
        if getattr(operation, "weights", ()):
            return False
    return False


def _portable(
    model: keras.Model, label: str, images: np.ndarray, scaling: str
) -> tuple[keras.Model, tuple[str, ...]]:
    """The form that a run keeps: float32, of the pictures' size, pixels 0..255, and an end that is known."""
    scale = _UNIT if scaling == "unit" else 1.0
    expected = likeness.answers(model, images * scale, training=False)
    sums = expected.sum(axis=1)
    shares = bool((expected >= 0).all() and np.abs(sums - 1).max() < 1e-3)
    logarithm = shares and models.returns_logits(model)
    told = f"{label} ends in probabilities in a way of its own; the kept model gives their logarithms."
    notes = (told,) if logarithm else ()
    rough = [layer for layer in model._flatten_layers() if layer.compute_dtype in ("float16", "bfloat16")]
    if scaling == "none" and not logarithm and not rough and None not in model.inputs[0].shape[1:]:
        return model, notes
    front = _UNIT if scaling == "unit" else None
    try:
        made = layout.relaid(
            model, "channels_last", image_shape=images.shape[1:], scale=front, logarithm=logarithm
        )
        found = likeness.answers(made, images, training=False)
        apart = likeness.apart(expected, np.exp(found) if logarithm else found, 0.1 if rough else 1e-3)
        differs = "it would answer otherwise." if apart else ""
    except Exception as error:  # whatever a user's layer raises when it is made again
        differs = models.reason(error)
    if differs:
        raise UsageError(
            f"{label} cannot be brought to float32 and pixels 0 to 255: {differs} Expected: a model that "
            "starts with keras.layers.Rescaling(1/255) and ends in softmax, or bare."
        )
    return made, notes


def _fastest(
    portable: keras.Model, label: str, wanted: str, images: np.ndarray
) -> tuple[keras.Model, Literal["float32", "mixed_bfloat16"], str]:
    """The form to train in, its precision, and a sentence about both."""
    data_format = layers.training_format()
    try:
        exact = likeness.faithful(portable, data_format, "float32", images, learning=True)
    except ValueError as error:
        copy, _ = _reopened(portable, label)
        told = f"{label} trains as it is written, channels_last in float32, and slower: rebuilt, {error}."
        return layout.remember(copy, portable, [(portable, copy)]), "float32", told
    told = f"{label} trains {data_format}, the fastest layout here, rebuilt with the same answers."
    if not any(getattr(layer, "data_format", None) == data_format for layer in exact.layers):
        told = f"{label} trains as it is written: its graph shows no layer that has another layout."
    if wanted == "float32":
        return exact, "float32", told
    try:
        rough = likeness.faithful(portable, data_format, wanted, images, learning=True)
    except ValueError as error:
        return exact, "float32", f"{told} It stays in float32: in bfloat16, {error}."
    if not any(layer.weights and layer.compute_dtype == "bfloat16" for layer in rough.layers):
        return exact, "float32", f"{told} It stays in float32, as no layer of it takes another precision."
    return rough, "mixed_bfloat16", told


def _origins(source: sources.Source, model: keras.Model) -> tuple[str, ...]:
    """What a user should know of weights, of an own `compile`, and of layers that need code."""
    notes = []
    if source.trained:
        notes.append(f"Training starts from the weights of {source.label}.")
    if source.model.compiled:
        notes.append("Its own compile() is not used: optimizer, rate and loss are those of the settings.")
    kinds = {type(layer) for layer in model._flatten_layers()}
    if foreign := [kind for kind in kinds if not kind.__module__.startswith(("keras.", "tenfold."))]:
        notes.append(
            f"{', '.join(sorted(kind.__name__ for kind in foreign))}: code of your own. model.keras opens "
            'only where that has been imported. An export opens anywhere: python -c "import MODULE; from '
            "tenfold.cli import main; main(['export', 'RUN'])\""
        )
    return tuple(notes)
