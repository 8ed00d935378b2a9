"""Which pictures of an evaluation are worth keeping for people to look at."""

import math
from collections.abc import Sequence

import numpy as np

_BYTES = 2_000_000  # of pixels of one kind, mistakes for example: 651 pictures of 32 x 32
_FEWEST = 96
_OF_EACH = 6  # kind of mistake, and class of right answers


def most_pictures(shape: Sequence[int]) -> int:
    """How many pictures of a shape, (h, w, 3), to keep of a kind: about two megabytes, 96 at least."""
    return max(_FEWEST, _BYTES // math.prod(shape))


def worth_showing(
    labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, most: int
) -> np.ndarray:
    """Rows worth showing: mistakes, most confident first, then the surest right answers of each class.

    Of more mistakes than `most`, a few of every kind go before others of the common kinds.

    Args:
        labels, predicted: int (n,), the true classes and the answers.
        probabilities: (n, classes).
        most: mistakes at most.

    Returns:
        int (m,), rows.
    """
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = predicted == labels
    wrong_rows = order[~right[order]]
    seen: dict[tuple[int, int], int] = {}
    turn = np.empty(len(wrong_rows), int)
    for place, row in enumerate(wrong_rows):
        kind = int(labels[row]), int(predicted[row])
        turn[place] = seen[kind] = seen.get(kind, 0) + 1
    turn = np.where(turn <= _OF_EACH, turn, _OF_EACH + 1)
    wrong_rows = wrong_rows[np.sort(np.argsort(turn, kind="stable")[:most])]
    right_rows = [
        order[right[order] & (labels[order] == c)][:_OF_EACH] for c in range(probabilities.shape[1])
    ]
    return np.concatenate([wrong_rows, *right_rows])
