"""Labels as readers hand them over: checked, and with a plain word on classes that a split lacks."""

import numpy as np

from tenfold.datasets.dataset import Split
from tenfold.errors import DataError


def check_labels(values: np.ndarray, pictures: int, classes: int | None, where: str) -> np.ndarray:
    """`values` as int64 (n,), each in [0, classes).

    Args:
        values: (n,) or (n, 1), whole numbers of any type.
        pictures: how many there must be.
        classes: how many classes there are; None where the labels themselves say it.
        where: what messages call them, for example "cifar.npz: y_train".

    Raises:
        DataError: wrong number, wrong type, one-hot rows, or a label out of range.
    """
    labels = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if labels.ndim != 1:
        hint = " One-hot rows become labels with y.argmax(axis=1)." if labels.ndim == 2 else ""
        raise DataError(f"{where} must hold one label a picture.{hint} Received: shape={values.shape}")
    if len(labels) != pictures:
        raise DataError(
            f"{where} must have as many labels as there are pictures; save both again. "
            f"Received: {len(labels):,} labels, {pictures:,} pictures"
        )
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where} must hold whole numbers from 0. Received: dtype={labels.dtype}")
    labels = labels.astype(np.int64)
    end = np.inf if classes is None else classes
    wrong = np.flatnonzero((labels < 0) | (labels >= end))
    if len(wrong):
        row = int(wrong[0])
        expected = "from 0" if classes is None else f"from 0 to {classes - 1} ({classes} classes)"
        hint = " A label of -1 means that there is none: leave those rows out." if labels[row] == -1 else ""
        raise DataError(
            f"{where} must lie {expected}.{hint} Received: {labels[row]} in row {row}, {len(wrong):,} in all"
        )
    return labels


def absent(labels: np.ndarray, class_names: tuple[str, ...], split: Split) -> tuple[str, ...]:
    """A note on the classes without a picture in this split; empty where all have one."""
    counts = np.bincount(labels, minlength=len(class_names))
    names = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
    if not names:
        return ()
    consequence = "the model cannot learn them" if split == "train" else "scores cannot show them"
    return (f"No {split} pictures of {', '.join(names)}: {consequence}.",)


def numbered(classes: int) -> tuple[str, ...]:
    """Names for classes that have none: "0", "1", and so on."""
    return tuple(str(label) for label in range(classes))
