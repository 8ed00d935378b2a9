"""Fewer training pictures than there are, for a learning curve or a quick try."""

import dataclasses

import numpy as np

from tenfold.datasets.dataset import Dataset

_OWN = 0x7417  # keeps this draw apart from the others of the same seed


def thinned(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """The same share of every class; with one seed, smaller shares lie within larger ones.

    So two points of a learning curve differ by the pictures that were added and by nothing else.

    Args:
        dataset: n pictures.
        fraction: of each class, above 0, up to 1, rounded up; no class goes without a picture.
        seed: decides which pictures come first.

    Returns:
        The pictures in their old order, with a note of how many they are; `dataset` itself for all of them.
    """
    if fraction == 1:
        return dataset
    random = np.random.default_rng([seed, _OWN])
    chosen = []
    for label in range(len(dataset.class_names)):
        rows = random.permutation(np.flatnonzero(dataset.labels == label))
        # Rounding first: 0.1 * 30 is a hair above 3.
        chosen.append(rows[: int(np.ceil(round(fraction * len(rows), 6)))])
    rest = dataset.subset(np.sort(np.concatenate(chosen)))
    note = (
        f"Learning from {len(rest):,} of {len(dataset):,} training pictures, {fraction:.3g} of every class."
    )
    return dataclasses.replace(rest, notes=(*rest.notes, note))
