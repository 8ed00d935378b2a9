"""Test-time views: a model answers a picture plain, mirrored and moved by a pixel, and the mean counts.

What a picture shows stays the same when it is mirrored or moved by a pixel, but a network's mistakes do
not. The mean of its answers is right more often than each of them, at the cost of one pass for each view.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.errors import UsageError, unknown

PredictFn = Callable[[np.ndarray], np.ndarray]
"""uint8 (n, height, width, 3) to float32 (n, classes): each row the probabilities of one picture."""

# Probabilities are raised to this before the logarithm, as 0 would otherwise rule a class out whatever the
# other views say. Nothing that a float32 softmax gives is changed, so the mean stays that of the logits.
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class View:
    """One way to look at a picture: moved first, then mirrored.

    Attributes:
        mirror: whether left and right are exchanged.
        down: pixels the picture moves down; negative is up. Less than its height.
        right: pixels the picture moves right, before the mirror; negative is left. Less than its width.
        weight: share of this view in the average, above 0 and up to 1.
    """

    mirror: bool
    down: int
    right: int
    weight: float


VIEWS: dict[str, tuple[View, ...]] = {
    "none": (View(False, 0, 0, 1.0),),
    "flip": (View(False, 0, 0, 0.5), View(True, 0, 0, 0.5)),
    "shift": (
        View(False, 0, 0, 0.25),
        View(True, 0, 0, 0.25),
        View(False, -1, -1, 0.125),
        View(True, -1, -1, 0.125),
        View(False, 1, 1, 0.125),
        View(True, 1, 1, 0.125),
    ),
}
"""Sets of views by name. The weights of each add up to 1, and its first view is the plain picture.

"shift" is the evaluation of airbench: K. Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU,
arXiv:2404.00498.
"""


def view_set(name: str) -> tuple[View, ...]:
    """The views of a set.

    Raises:
        UsageError: there is no set of that name.
    """
    if name not in VIEWS:
        raise UsageError(unknown("set of views", name, VIEWS))
    return VIEWS[name]


def indices(view: View, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of a picture that a view shows, in order.

    What a move uncovers is filled by reflection about the outermost pixel, which is not repeated.

    Args:
        view: the view.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns:
        int64 (height,) and (width,).
    """
    rows, columns = _reflected(height, view.down), _reflected(width, view.right)
    return rows, columns[::-1] if view.mirror else columns


def _reflected(size: int, move: int) -> np.ndarray:
    last = size - 1
    return last - np.abs(last - np.abs(np.arange(size) - move))


def apply(images: np.ndarray, view: View) -> np.ndarray:
    """Pictures as a view shows them.

    Args:
        images: (n, height, width, 3).
        view: the view.

    Returns:
        The same shape and type, contiguous; `images` themselves where the view changes nothing.
    """
    if not (view.mirror or view.down or view.right):
        return images
    rows, columns = indices(view, *images.shape[1:3])
    return images.take(rows, axis=1).take(columns, axis=2)


def mean(answers: Sequence[np.ndarray], views: Sequence[View]) -> np.ndarray:
    """The probabilities that several views agree on: softmax of the weighted mean of their logarithms.

    This is what averaging the logits gives: the logarithm of a softmax is the logit less one number for the
    whole row, so the mean of logarithms is the mean of logits less one number, which the last softmax takes
    out again. Probabilities are therefore all that is asked of an engine.

    Args:
        answers: for each view, probabilities (n, classes).
        views: the views, in the same order.

    Returns:
        float32 (n, classes); each row sums to 1.
    """
    logarithms = np.zeros(answers[0].shape)
    for answer, view in zip(answers, views, strict=True):
        logarithms += view.weight * np.log(np.maximum(answer, _SMALLEST, dtype=np.float64))
    shares = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def averaged(predict_fn: PredictFn, name: str) -> PredictFn:
    """A predict_fn that answers with the `mean` over a set of views.

    Args:
        predict_fn: called once for each view.
        name: a key of `VIEWS`; "none" gives `predict_fn` itself.

    Returns:
        A function of the same kind, slower by as many times as there are views.

    Raises:
        UsageError: there is no set of that name.

    Example:
        steadier = averaged(predictor.predict, "flip")
    """
    views = view_set(name)
    if name == "none":
        return predict_fn
    return lambda images: mean([predict_fn(apply(images, view)) for view in views], views)
