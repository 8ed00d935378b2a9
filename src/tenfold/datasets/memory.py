"""Pictures that a Python program holds, found by their hash for as long as it does."""

import hashlib
import weakref

import numpy as np

from tenfold.datasets.dataset import Dataset, Source, Split
from tenfold.datasets.pictures import choose_shape, resize_all
from tenfold.errors import DataError
from tenfold.images import Fit

PREFIX = "memory:"
"""How the names of such pictures begin."""

_HELD: weakref.WeakValueDictionary[str, Dataset] = weakref.WeakValueDictionary()
_CHUNK = 4096  # pictures hashed at a time; they may lie on the disk


def hold(dataset: Dataset) -> str:
    """Makes pictures known under a name that `datasets.find` takes, for as long as the program keeps them.

    Args:
        dataset: training pictures.

    Returns:
        The name, made of a hash: the same for the same pictures.

    Raises:
        DataError: they are not as `Dataset` says.
    """
    images, labels, count = dataset.images, np.asarray(dataset.labels), len(dataset.class_names)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise DataError(
            "Pictures must be uint8 of shape (n, height, width, 3), channels last. "
            f"Received: {images.dtype} of shape {images.shape}"
        )
    if not len(images) == len(labels) == len(dataset.ids) or labels.dtype.kind not in "iu":
        raise DataError(
            "Each picture needs a label, a whole number, and an id. Received: "
            f"pictures={len(images)}, labels={len(labels)} of {labels.dtype}, ids={len(dataset.ids)}"
        )
    if not len(labels) or labels.min() < 0 or labels.max() >= count:
        span = f"{labels.min()} to {labels.max()}" if len(labels) else "none"
        raise DataError(f"Labels must be 0 to {count - 1}, one a class name. Received: labels={span}")
    digest = hashlib.sha256(repr((images.shape, tuple(dataset.class_names), tuple(dataset.ids))).encode())
    digest.update(np.ascontiguousarray(labels, np.int64).data)
    for start in range(0, len(images), _CHUNK):
        digest.update(np.ascontiguousarray(images[start : start + _CHUNK]).data)
    name = f"{PREFIX}{digest.hexdigest()[:12]}"
    _HELD[name] = dataset
    return name


def find(name: str, image_size: int | None, fit: Fit) -> Source:
    """The held pictures of a name, as a source of training pictures.

    Args:
        name: as `hold` gave it.
        image_size, fit: as for `datasets.find`.

    Raises:
        DataError: this program holds no such pictures.
    """
    dataset = _HELD.get(name)
    if dataset is None:
        raise DataError(
            f"{name} stands for pictures in the memory of a Python program, kept nowhere else. Expected: "
            f"that program, or tenfold.resume(run, data=the_same_pictures). Received: data={name}"
        )
    height, width = dataset.images.shape[1:3]
    shape = choose_shape([(width, height)], image_size, fit)

    def read(split: Split) -> Dataset:
        images = resize_all(dataset.images, shape)
        labels = np.asarray(dataset.labels, np.int64)
        return Dataset(images, labels, dataset.class_names, dataset.ids, dataset.notes)

    return Source("memory", name, dataset.class_names, ("train",), read, shape.notes)
