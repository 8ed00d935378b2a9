"""Handwritten digits that come with scikit-learn: 1,797 real pictures, no download, ten classes."""

import numpy as np

from tenfold.datasets.dataset import Dataset, Source, Split
from tenfold.datasets.holdout import hold_out
from tenfold.datasets.labels import numbered
from tenfold.datasets.pictures import USUAL, choose_shape, resize_all
from tenfold.images import Fit

_TEST_SHARE = 0.2


def find(image_size: int | None = None, fit: Fit = "pad") -> Source:
    """8 x 8 pixels with 16 grey levels, enlarged to 32 x 32 so that every architecture takes them.

    A fifth of the pictures is held out as the test set, the same ones at every call.
    """
    class_names = numbered(10)
    shape = choose_shape([(USUAL, USUAL)], image_size, fit)

    def read(split: Split) -> Dataset:
        from sklearn.datasets import load_digits

        digits = load_digits()
        labels = digits.target.astype(np.int64)
        train, test = hold_out(labels, class_names, "digits", _TEST_SHARE)
        rows = train if split == "train" else test
        grey = np.round(digits.images[rows] * (255 / 16)).astype(np.uint8)
        images = resize_all(np.repeat(grey[..., np.newaxis], 3, axis=-1), shape)
        return Dataset(images, labels[rows], class_names, tuple(f"digit-{row:04d}" for row in rows))

    return Source("digits", "digits", class_names, ("train", "test"), read, held_out=True)
