"""Heat maps: which parts of a picture speak for a class.

Four methods, each for any model of the contract and without naming a layer:

- "layercam" (Jiang et al., 2021, doi 10.1109/TIP.2021.3089943): each place of a map counts by its own
  derivative. That holds at any depth, so the maps of all resolutions are added up: the last ones know what,
  the first ones where. The paper takes their maximum; on CIFAR-10 the sum points better, and far
  better than the last maps alone, which have 3 x 3 or 4 x 4 cells.
- "gradcam" (Selvaraju et al., arXiv:1610.02391): the last maps, each weighed by its mean derivative.
- "gradcam++" (Chattopadhay et al., arXiv:1710.11063): the same with weights that count every place where a
  class is seen, not only the largest. Both are made for a global pool; behind a flattened map one weight a
  map says little, and may leave nothing at all.
- "occlusion" (Zeiler and Fergus, arXiv:1311.2901): how far the probability falls when a patch is covered,
  see `occlusion`.

The first three ask for the derivative of the odds of a class where the papers take its score, see `anatomy`.
"""

from typing import Literal, get_args

import keras
import numpy as np

from tenfold.errors import UsageError, unknown
from tenfold.explanation.anatomy import Anatomy
from tenfold.explanation.stages import Axis, Stage
from tenfold.occlusion import occlusion, scaled

Method = Literal["layercam", "gradcam++", "gradcam", "occlusion"]


def heat_maps(
    model: keras.Model | Anatomy, images: np.ndarray, classes: np.ndarray, *, method: Method = "layercam"
) -> np.ndarray:
    """What in each picture speaks for a class, for hundreds of pictures at once.

    A map says where, not how much: its highest value is 1 however little the class depends on it. Where
    nothing speaks for the class, all is 0.

    Args:
        model: a Keras model of pixels 0 to 255, channels last, to logits or softmax.
        images: uint8 (n, h, w, channels).
        classes: int (n,), the class to explain for each picture.
        method: "layercam", "gradcam++", "gradcam" or "occlusion".

    Returns:
        float32 (n, h, w), 0 to 1.

    Raises:
        UsageError: no such method, or the model has no convolution and the method is not occlusion.
    """
    if method not in get_args(Method):
        raise UsageError(unknown("method", method, get_args(Method)))
    images, classes = np.asarray(images), np.asarray(classes)
    if not len(images):
        return np.zeros(images.shape[:3], np.float32)
    anatomy = model if isinstance(model, Anatomy) else Anatomy(model, images.shape[1:])
    if method == "occlusion":
        return occlusion(lambda pictures: anatomy.forward(pictures)[0], images, classes)
    if not anatomy.stages:
        raise UsageError(
            f"{method} needs a model with convolutions, and this one has none. Received: method={method!r}. "
            "Use occlusion, which works for every model."
        )
    batches = anatomy.derivatives(images, classes)
    return np.concatenate([_METHODS[method](anatomy.stages, found, images.shape[1:3]) for found in batches])


Found = list[tuple[np.ndarray, np.ndarray]]
"""For each stage, maps and derivatives: float32 (n, rows, columns, channels)."""


def _gradcam(stages: tuple[Stage, ...], found: Found, size: tuple[int, int]) -> np.ndarray:
    maps, slopes = found[-1]
    return _laid(stages[-1], maps, slopes.mean(axis=(1, 2), keepdims=True), size)


def _gradcam_plus(stages: tuple[Stage, ...], found: Found, size: tuple[int, int]) -> np.ndarray:
    maps, slopes = found[-1]
    below = 2 * slopes**2 + maps.sum(axis=(1, 2), keepdims=True) * slopes**3
    # Where the derivative is 0 nothing is weighed; below 0 the paper's sum of activations has lost its sense.
    shares = np.divide(slopes**2, below, out=np.zeros_like(slopes), where=below > 0)
    weights = (shares * np.maximum(slopes, 0)).sum(axis=(1, 2), keepdims=True)
    return _laid(stages[-1], maps, weights, size)


def _layercam(stages: tuple[Stage, ...], found: Found, size: tuple[int, int]) -> np.ndarray:
    parts = [
        _laid(stage, maps, np.maximum(slopes, 0), size)
        for stage, (maps, slopes) in zip(stages, found, strict=True)
    ]
    return scaled(np.sum(parts, axis=0))


_METHODS = {"layercam": _layercam, "gradcam": _gradcam, "gradcam++": _gradcam_plus}


def _laid(stage: Stage, maps: np.ndarray, weights: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Weighed maps, added up where they speak for the class, laid over the picture."""
    sums = np.maximum((maps * weights).sum(axis=-1), 0)
    down, across = (
        _spread(axis, n, cells) for axis, n, cells in zip(stage.axes, size, stage.size, strict=True)
    )
    return scaled(down @ sums @ across.T)


def _spread(axis: Axis, pixels: int, cells: int) -> np.ndarray:
    """float32 (pixels, cells): the share of each cell in each pixel, linear between the cells' centres."""
    places = np.clip((np.arange(pixels) - axis.first) / axis.step, 0, cells - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(cells)), 0).astype(np.float32)
