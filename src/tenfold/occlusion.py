"""Heat maps from answers alone: how far the probability of a class falls when a patch is covered.

After Zeiler and Fergus, arXiv:1311.2901. It asks a model for nothing but answers, 169 of them for each
picture, so it works for every engine and for a process that loads neither Keras nor torch.
"""

import numpy as np

from tenfold.views import PredictFn

_PATCH, _STEPS = 4, 16  # a side of the picture is four patches long; a patch moves by a sixteenth of it
_CHUNK = 256  # covered pictures a call


def occlusion(predict_fn: PredictFn, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Heat maps of pictures, for one class each.

    A square of a quarter of the picture's side is laid over it in steps of a sixteenth, in the mean colour of
    the picture; each pixel gets the mean fall over the patches that cover it.

    Args:
        predict_fn: uint8 (n, h, w, channels) to probabilities (n, classes); called with up to 256 pictures.
        images: uint8 (n, h, w, channels).
        classes: int (n,), the class to explain for each picture.

    Returns:
        float32 (n, h, w), 0 to 1; the highest value of a map is 1, or 0 where nothing speaks for the class.
    """
    heat = np.zeros(images.shape[:3], np.float32)
    for place, (image, label) in enumerate(zip(images, classes, strict=True)):
        shown = covered(image)
        answers = [predict_fn(shown[start : start + _CHUNK]) for start in range(0, len(shown), _CHUNK)]
        heat[place] = fall(np.concatenate(answers)[:, label], *image.shape[:2])
    return heat


def covered(image: np.ndarray) -> np.ndarray:
    """A picture (h, w, c) under every patch, and bare at the end: uint8 (patches + 1, h, w, c)."""
    covers = _covers(*image.shape[:2])
    return np.concatenate([np.where(covers[..., None] > 0, mean_colour(image), image), image[None]])


def fall(probabilities: np.ndarray, height: int, width: int) -> np.ndarray:
    """The heat map that the answers to `covered` make.

    Args:
        probabilities: (patches + 1,), of the class to explain.
        height, width: of the picture in pixels.

    Returns:
        float32 (height, width), as `occlusion`.
    """
    covers = _covers(height, width)
    lost = np.maximum(probabilities[-1] - probabilities[:-1], 0)
    return scaled((np.tensordot(lost, covers, 1) / covers.sum(axis=0))[None].astype(np.float32))[0]


def mean_colour(image: np.ndarray) -> np.ndarray:
    """uint8 (channels,): what parts of a picture (h, w, channels) are covered with."""
    return image.mean(axis=(0, 1)).round().astype(np.uint8)


def scaled(heat: np.ndarray) -> np.ndarray:
    """Each map (n, h, w) divided by its highest value; one without any stays 0."""
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)


def _covers(height: int, width: int) -> np.ndarray:
    """float32 (patches, height, width): 1 where a patch lies."""
    windows = [(rows, columns) for rows in _windows(height) for columns in _windows(width)]
    covers = np.zeros((len(windows), height, width), np.float32)
    for cover, window in zip(covers, windows, strict=True):
        cover[window] = 1
    return covers


def _windows(side: int) -> list[slice]:
    patch = max(1, side // _PATCH)
    starts = range(0, side - patch + 1, max(1, side // _STEPS))
    return [slice(start, start + patch) for start in {*starts, side - patch}]
