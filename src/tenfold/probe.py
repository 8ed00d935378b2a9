"""A head that is trained alone: on what the frozen layers below make of the pictures, computed once."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from tenfold import callbacks, embeddings, layers, models, preparation, splits
from tenfold.callbacks import Listener, Looking
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset, joined
from tenfold.models import heads

Fit = Callable[[keras.Model, Config, splits.Parts, Sequence[keras.callbacks.Callback]], None]
"""Fits a compiled model to the training part and watches it on the validation part, as `training` does."""

MIRRORED = 10_000
"""Training pictures up to which a head learns from their mirror images too, where the settings flip pictures:
so few gain by it, and many more would fill the memory."""

_PIECE = 4096  # features that are looked at together


@dataclass(frozen=True)
class Learnt:
    """A head that has learnt, and what to score it on without another look at the pictures.

    Attributes:
        observe: features (n, 1, 1, d) to probabilities (n, classes) and what the dense layer takes.
        held: the validation pictures, with features in their place.
    """

    observe: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
    held: Dataset


def learn(
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    best: callbacks.Best,
    progress: callbacks.Progress,
    fit: Fit,
    others: Sequence[keras.callbacks.Callback],
    listen: Listener,
) -> Learnt | None:
    """Trains the head of a model alone, and leaves its best epoch in the model and in `best`.

    What is learnt until an interrupt is left there too.

    Args:
        model: from `transfer.begin`.
        settings: of the run.
        parts: its pictures.
        best: takes over value, epoch and weights, and keeps the whole model.
        progress: goes on with its history.
        fit: what trains.
        others: callbacks that come after `progress`.
        listen: told how far features are that have to be computed.

    Returns:
        None where there is no validation split.
    """
    mirrored = settings.augmentation.flip != "none" and len(parts.train) <= MIRRORED
    seen = _embedded(_exact(model, settings), parts, mirrored, listen)
    _standardise(model, seen.train.images)
    head = heads.alone(model)
    plain = dataclasses.replace(settings, augmentation=Augmentation(), teacher=None, freeze=None)
    preparation.compiled(head, plain, len(seen.train))
    inner = callbacks.Best(settings.monitor, lambda model: None, settings.patience)
    progress.best, progress.images = inner, len(seen.train)
    try:
        fit(head, plain, seen, [inner, progress, *others])
    finally:
        progress.best, progress.images = best, len(parts.train)
        if inner.weights is not None:
            head.set_weights(inner.weights)
            heads.put(head, model)
            best.set_state(inner.get_state()[0], model.get_weights())
            best.keep(model)
            if settings.finetunes:  # its patience begins anew
                best.value_epoch = settings.epochs
    return None if seen.validation is None else Learnt(models.observe_fn(head), seen.validation)


def _exact(model: keras.Model, settings: Config) -> keras.Model:
    """The model in float32."""
    if settings.precision == "float32":
        return model
    return models.twin(
        model, settings.model, data_format=layers.training_format(), options=settings.model_options
    )


def _embedded(model: keras.Model, parts: splits.Parts, mirrored: bool, listen: Listener) -> splits.Parts:
    """The parts of a run with features (n, 1, 1, d) in the place of pictures; those of their mirror images
    stand behind them in the training part where `mirrored`."""
    below = heads.body(model)

    def embedded(part: Dataset, mirrored: bool = False) -> Dataset:
        found = embeddings.features(
            below,
            part.images,
            splits.fingerprint(part),
            mirrored=mirrored,
            tell=lambda *counts: listen(Looking(*counts)),
        )
        return dataclasses.replace(part, images=found.reshape(len(part), 1, 1, -1))

    train = embedded(parts.train)
    if mirrored:
        train = joined([train, embedded(parts.train, mirrored=True)])
    held = None if parts.validation is None else embedded(parts.validation)
    return dataclasses.replace(parts, train=train, validation=held)


def _standardise(model: keras.Model, features: np.ndarray) -> None:
    """Sets the layer "standard" from features (n, 1, 1, d), piece by piece, as they may lie on the disk."""
    flat = features.reshape(len(features), -1)
    mean = flat.mean(axis=0, dtype=np.float64)
    pieces = np.array_split(flat, -(-len(flat) // _PIECE))
    variance = np.sum([((piece - mean) ** 2).sum(axis=0) for piece in pieces], axis=0) / len(flat)
    heads.standardise(model, mean.astype(np.float32), variance.astype(np.float32))
