"""What a predict_fn answers, asked in pieces that fit into memory and checked to be probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tenfold.errors import UsageError
from tenfold.views import VIEWS, PredictFn, View, apply

_CHUNK_BYTES = 2**25  # of pixels a call: 10,922 pictures of 32 x 32, 170 of 256 x 256
_SUM_TOLERANCE = 0.02  # rows from an engine that computes in bfloat16 miss 1 by up to a percent


def ask(
    predict_fn: PredictFn, images: np.ndarray, classes: int, views: Sequence[View] = VIEWS["none"]
) -> list[np.ndarray]:
    """The answers to all pictures.

    Args:
        predict_fn: called with uint8 (m, height, width, 3), a few thousand pictures at a time.
        images: uint8 (n, height, width, 3).
        classes: how many columns are expected.
        views: ways to look at each picture.

    Returns:
        For each view, probabilities float32 (n, classes).

    Raises:
        UsageError: `predict_fn` returns something else than probabilities of these classes.
    """
    step = max(1, _CHUNK_BYTES // int(np.prod(images.shape[1:])))
    starts = range(0, len(images), step)

    def answers(view: View) -> np.ndarray:
        # One chunk at a time is read: the pictures may be on the disk.
        parts = (apply(images[start : start + step], view) for start in starts)
        return np.concatenate([checked(predict_fn(part), len(part), classes) for part in parts])

    return [answers(view) for view in views]


def checked(output: Any, pictures: int, classes: int) -> np.ndarray:
    """`output` as float32 (pictures, classes).

    Raises:
        UsageError: it is something else than probabilities of that shape.
    """
    try:
        probabilities = np.asarray(output, np.float32)
    except (TypeError, ValueError):
        raise UsageError(
            f"predict_fn must return an array of probabilities. Received: {type(output).__name__}"
        ) from None
    if probabilities.shape != (pictures, classes):
        raise UsageError(
            "predict_fn must return one row a picture and one column a class. "
            f"Expected: shape={(pictures, classes)}. Received: shape={probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        bad = int((~np.isfinite(probabilities).all(axis=1)).sum())
        raise UsageError(
            f"predict_fn must return finite numbers. Received: nan or inf for {bad:,} of {pictures:,} "
            "pictures. A model whose training diverged answers so; train it with a lower learning rate."
        )
    sums = probabilities.sum(axis=1)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > _SUM_TOLERANCE or probabilities.min() < 0:
        raise UsageError(
            "predict_fn must return probabilities: none below 0, each row summing to 1. "
            f"Received: lowest={probabilities.min():.4g}, a row summing to {sums[worst]:.4g}. "
            "Logits need a softmax first."
        )
    return probabilities
