"""Probabilities of pictures from models that never saw them, by cross-validation: quick or trained ones."""

import contextlib
import dataclasses
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tenfold import recipes
from tenfold.config import Config
from tenfold.datasets import Dataset

QUICK_FOLDS, TRAINED_FOLDS = 5, 3

_FILTERS, _SIDE, _STRIDE = 256, 6, 2  # of the patches
_CELLS = 2  # a side that their answers are pooled in
_SAMPLE = 20_000  # patches that the whitening is learned from
_CALM, _KEPT = 10.0, 0.1  # added to the variances of a patch and of the whitening
_LEAST = 0.8  # answers below count 0
_CHUNK = 256  # pictures at a time: 200 MiB of patches
_STRENGTH, _STEPS = 1e-3, 60  # of the linear model: little trust in single features; steps of its solver


def quick(data: Dataset, folds: int = QUICK_FOLDS, seed: int = 0) -> np.ndarray:
    """A linear model on what small patches look like: a minute, and good for what is plainly wrong.

    Whitened patches of the pictures themselves serve as filters (A. Coates, H. Lee, A. Ng, "An analysis of
    single-layer networks in unsupervised feature learning", AISTATS 2011; their random patches).

    Args:
        data: the pictures and their labels.
        folds: how many models; each answers for the pictures that it has not seen.
        seed: of the folds and the filters.

    Returns:
        float32 (n, classes); each row sums to 1.
    """
    from sklearn.linear_model import LogisticRegression

    features = described(data.images, seed)
    found = np.zeros((len(data), len(data.class_names)), np.float32)
    for seen, unseen in parts(data.labels, folds, seed):
        model = LogisticRegression(C=_STRENGTH, max_iter=_STEPS)
        with _unfinished():
            model.fit(features[seen], data.labels[seen])
        found[np.ix_(unseen, model.classes_)] = model.predict_proba(features[unseen])
    return found


def trained(
    data: Dataset,
    settings: Config | None = None,
    *,
    folds: int = TRAINED_FOLDS,
    listen: Callable[[str], None] = lambda sentence: None,
) -> np.ndarray:
    """Networks that Tenfold trains, one a fold, each of which answers for the pictures that it has not seen.

    Their runs lie in a temporary folder, which is gone afterwards.

    Args:
        data: the pictures and their labels.
        settings: of each fold's run; by default the recipe `fast`.
        folds: how many.
        listen: receives a sentence a fold.

    Returns:
        float32 (n, classes); each row sums to 1.

    Raises:
        UsageError: `settings.time` is too short. Stopped: interrupted.
    """
    from tenfold import training

    # The pictures held out are those in question, so nothing may be chosen by them: the last epoch counts.
    settings = dataclasses.replace(settings or recipes.recipe("fast"), monitor="last", patience=0)
    found = np.zeros((len(data), len(data.class_names)), np.float32)
    with tempfile.TemporaryDirectory(prefix="tenfold-doctor-") as folder:
        for number, (seen, unseen) in enumerate(parts(data.labels, folds, settings.seed), 1):
            path = Path(folder, "fold.npz")
            _save(path, data, seen, unseen)
            own = dataclasses.replace(settings, data=str(path), seed=settings.seed + number)
            run = training.train(own, runs=Path(folder), name=f"fold-{number}")
            found[unseen] = run.predictions("validation")["probabilities"]
            scores = run.scores("validation")
            accuracy = f"{scores['accuracy']:.1%}" if scores else "no"
            listen(f"Fold {number} of {folds}: {accuracy} of the labels held out are agreed with.")
    return found


def parts(labels: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows held out, `folds` times; every class is spread evenly over the folds."""
    random = np.random.default_rng(seed)
    fold_of = np.empty(len(labels), np.int64)
    start = 0
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        # Each class begins where the last one ended, so that folds of many small classes come out even too.
        fold_of[rows] = (start + np.arange(len(rows))) % folds
        start += len(rows)
    for fold in range(folds):
        yield np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)


def described(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """How much of 256 patterns each quarter of a picture holds, standardised.

    Args:
        images: uint8 (n, size, size, 3), size 8 or more.
        seed: of the patches that become filters.

    Returns:
        float32 (n, 1024).
    """
    random = np.random.default_rng(seed)
    # (n, rows, columns, 3, side, side), without a copy
    patches = np.lib.stride_tricks.sliding_window_view(images, (_SIDE, _SIDE), axis=(1, 2))
    at = (random.integers(0, size, _SAMPLE) for size in patches.shape[:3])
    sample = _even(patches[tuple(at)].reshape(_SAMPLE, -1))
    middle = sample.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(sample.T))
    whiten = ((vectors / np.sqrt(values + _KEPT)) @ vectors.T).astype(np.float32)
    chosen = (sample[:_FILTERS] - middle) @ whiten
    chosen /= np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-3)
    filters = whiten @ chosen.T
    found = []
    for start in range(0, len(images), _CHUNK):
        part = patches[start : start + _CHUNK, ::_STRIDE, ::_STRIDE]
        answers = (_even(part.reshape(-1, filters.shape[0])) - middle) @ filters
        found.append(_pooled(np.maximum(answers - _LEAST, 0).reshape(*part.shape[:3], -1)))
    features = np.concatenate(found)
    features -= features.mean(axis=0)
    features /= features.std(axis=0) + 1e-3
    return features


def _even(patches: np.ndarray) -> np.ndarray:
    """Patches (m, d) without their brightness and contrast, as float32."""
    patches = patches.astype(np.float32)
    patches -= patches.mean(axis=1, keepdims=True)
    patches /= np.sqrt(patches.var(axis=1, keepdims=True) + _CALM)
    return patches


def _pooled(answers: np.ndarray) -> np.ndarray:
    """Means of (n, rows, columns, filters) in each cell, as (n, cells * cells * filters)."""
    cuts = [np.array_split(np.arange(side), _CELLS) for side in answers.shape[1:3]]
    cells = [
        answers[:, down[0] : down[-1] + 1, right[0] : right[-1] + 1].mean(axis=(1, 2))
        for down in cuts[0]
        for right in cuts[1]
    ]
    return np.concatenate(cells, axis=1)


@contextlib.contextmanager
def _unfinished() -> Iterator[None]:
    """The solver is stopped early on purpose, and warns of it."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _save(path: Path, data: Dataset, seen: np.ndarray, unseen: np.ndarray) -> None:
    np.savez(
        path,
        x_train=data.images[seen],
        y_train=data.labels[seen],
        x_val=data.images[unseen],
        y_val=data.labels[unseen],
        # Training never opens a test split; without one, a tenth of the training pictures would become it.
        x_test=data.images[unseen[:1]],
        y_test=data.labels[unseen[:1]],
        class_names=np.array(data.class_names),
    )
