"""Classes of unequal size that count the same: a weight for each picture of a batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_SHOWN = 5  # classes that a note names


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """A weight for each class, n / (k m): n pictures in all, m of the class, k classes that have any.

    The mean over all pictures is 1, so that the learning rate keeps its meaning; scikit-learn calls the same
    weights "balanced" (after G. King, L. Zeng, "Logistic regression in rare events data", Political Analysis
    9, 2001).

    Args:
        labels: int (n,), those that are learned from.
        classes: how many there are.

    Returns:
        float32 (classes,); 0 for a class without pictures.

    Example:
        >>> class_weights(np.array([0, 0, 0, 1]), 2).round(2).tolist()
        [0.67, 2.0]
    """
    counts = np.bincount(labels, minlength=classes)
    share = len(labels) / np.maximum(counts, 1) / np.count_nonzero(counts)
    return np.where(counts, share, 0).astype(np.float32)


def weigh(targets: Any, weights: np.ndarray) -> Any:
    """The weight of each picture of a batch, where its targets are: in memory or on a device.

    A picture that shows several classes weighs as much as they do, each by its share.

    Args:
        targets: (b,) integers, or shares (b, classes); an array, or a tensor of the running Keras backend.
        weights: as from `class_weights`.

    Returns:
        float32 (b,).
    """
    if isinstance(targets, np.ndarray):
        return weights[targets] if targets.ndim == 1 else targets @ weights
    import keras

    there = keras.ops.convert_to_tensor(weights)
    if len(targets.shape) == 1:
        return keras.ops.take(there, targets)
    return keras.ops.matmul(targets, there)


def note(weights: np.ndarray, class_names: Sequence[str]) -> str:
    """What the user is told: the weights of the rarest and of the commonest classes."""
    order = [label for label in np.argsort(-weights, kind="stable") if weights[label]]
    named = [f"{class_names[label]} {weights[label]:.3g}" for label in order]
    if len(named) > 2 * _SHOWN:
        named = [*named[:_SHOWN], "...", *named[-_SHOWN:]]
    return f"Training pictures weigh by class, validation pictures do not: {', '.join(named)}."
