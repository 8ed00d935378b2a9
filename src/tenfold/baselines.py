"""What needs no neural network: the scores that a trained model has to beat to be worth its name.

The commonest class, the nearest neighbours and logistic regression, from pixels, in well under a minute for
50,000 small pictures. A network near them has learned little more than colours.
"""

import dataclasses
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.datasets.dataset import Dataset
from tenfold.datasets.rows import pieces
from tenfold.errors import DataError, UsageError
from tenfold.evaluation import INTERVAL_LEVEL, wilson

MOST = 50_000
"""Training pictures that are used at most; of a larger set, so many drawn at random."""

# Pixels a side that pictures are averaged down to; CIFAR-10 scores no higher at 32, in five times the time.
_SIDE = 16
_NEIGHBOURS = 10
_NEAR = 48  # components for the neighbours: more of them, and noise decides who is near
_LINEAR = 256  # components for the regression
_ITERATIONS = 100  # of the regression at most; CIFAR-10 takes a dozen
_FITTED = 10_000  # pictures that the components are found from; more turn none of the first ones


@dataclass(frozen=True)
class Baseline:
    """One of them, scored.

    Attributes:
        name: in plain words.
        accuracy: share of the held pictures that it names right, in [0, 1].
        interval: Wilson's 95 % interval.
        seconds: that fitting and answering took, what several share counted for each.
        note: what it looks at, and what was reduced to keep it quick.
    """

    name: str
    accuracy: float
    interval: tuple[float, float]
    seconds: float
    note: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dataclasses.asdict(self)


def baselines(train: Dataset, held: Dataset, *, seed: int = 0) -> tuple[Baseline, ...]:
    """Fits each baseline on `train` and scores it on `held`; nothing is chosen by the held pictures.

    Args:
        train: the pictures that the model learned from.
        held: those that the model was scored on, of the same size; classes are matched by name.
        seed: draws the pictures of a set larger than `MOST`.

    Returns:
        The commonest class, the nearest neighbours, logistic regression.

    Raises:
        DataError: no pictures, only one class to learn from, or held pictures of classes not in `train`.
        UsageError: pictures of different sizes.
    """
    labels = _labels(train, held)
    rows = np.arange(len(train))
    if len(train) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(len(train), MOST, replace=False))
    start = time.perf_counter()
    known = train.labels[rows]
    near, unknown = _components(_reduced(train.images, rows), _reduced(held.images), seed)
    shared = time.perf_counter() - start

    side = f"{min(_SIDE, min(train.images.shape[1:3]))}"
    drawn = f"; {MOST:,} of {len(train):,} training pictures" if len(rows) < len(train) else ""
    pixels = f"pixels averaged down to {side} a side, their first {{}} principal components{drawn}"
    few, many = (min(count, near.shape[1]) for count in (_NEAR, _LINEAR))

    def score(name: str, note: str, answer: Callable[[], np.ndarray], before: float = shared) -> Baseline:
        start = time.perf_counter()
        hits = int((answer() == labels).sum())
        seconds = before + time.perf_counter() - start
        return Baseline(name, hits / len(labels), wilson(hits, len(labels), INTERVAL_LEVEL), seconds, note)

    common = int(np.bincount(train.labels).argmax())
    return (
        score(
            "commonest class",
            f"answers {train.class_names[common]} to every picture",
            lambda: np.full(len(labels), common),
            0.0,
        ),
        score(
            "nearest neighbours",
            f"{min(_NEIGHBOURS, len(rows))} nearest training pictures; {pixels.format(few)}",
            lambda: _neighbours(near[:, :few], known, unknown[:, :few]),
        ),
        score(
            "logistic regression",
            pixels.format(many),
            lambda: _regression(near[:, :many], known, unknown[:, :many]),
        ),
    )


def _labels(train: Dataset, held: Dataset) -> np.ndarray:
    """The true classes of the held pictures, as numbers of `train`; -1 for none of them."""
    if not len(train) or not len(held):
        raise DataError(f"Baselines need pictures. Received: train={len(train)}, held={len(held)}")
    if len(np.unique(train.labels)) < 2:
        raise DataError("Baselines need training pictures of two classes or more. Received: one class")
    if train.images.shape[1:] != held.images.shape[1:]:
        raise UsageError(
            "Pictures must have the same size. Expected: that of the training pictures, "
            f"{train.images.shape[1:3]}. Received: {held.images.shape[1:3]}"
        )
    place = {name: number for number, name in enumerate(train.class_names)}
    found = np.array([place.get(name, -1) for name in held.class_names])[held.labels]
    if (found < 0).any():
        strange = sorted({held.class_names[label] for label in held.labels[found < 0]})
        raise DataError(
            f"Held pictures show classes without training pictures. Received: {', '.join(strange)}"
        )
    return found


def _reduced(images: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Pixels from 0 to 1, of all pictures or those at `rows`, averaged over blocks: float32, 768 at most."""
    return np.concatenate([_averaged(piece) for piece in pieces(images, rows)])


def _averaged(images: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        size = images.shape[axis]
        edges = np.linspace(0, size, min(_SIDE, size) + 1).round().astype(int)
        sums = np.add.reduceat(images, edges[:-1], axis=axis, dtype=np.float32)
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        images = sums / np.diff(edges).astype(np.float32).reshape(shape)
    return images.reshape(len(images), -1) / 255


def _components(known: np.ndarray, unknown: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both by their principal components, the strongest first."""
    some = known[np.random.default_rng(seed).permutation(len(known))[:_FITTED]]
    centre = some.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(some.T))  # in rising order
    strongest = vectors[:, ::-1][:, :_LINEAR].astype(np.float32)
    return (known - centre) @ strongest, (unknown - centre) @ strongest


def _neighbours(known: np.ndarray, labels: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import KNeighborsClassifier

    count = min(_NEIGHBOURS, len(known))
    model = KNeighborsClassifier(count, weights="distance", algorithm="brute")
    return model.fit(known, labels).predict(unknown)


def _regression(known: np.ndarray, labels: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    spread = known.std(axis=0)
    spread = np.maximum(spread, 0.02 * spread[0])  # else what hardly varies would count as much as what does
    model = LogisticRegression(C=0.1, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nothing that a user could mend
        model.fit(known / spread, labels)
    return model.predict(unknown / spread)
