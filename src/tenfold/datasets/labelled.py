"""Pictures in files of their own, with labels: what a folder of class folders and a list of files share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.datasets.dataset import Dataset, Encoded, Reading, Source, Split
from tenfold.datasets.holdout import hold_out, note
from tenfold.datasets.pictures import Shape, choose_shape, gather, sizes_of
from tenfold.datasets.store import Origin
from tenfold.images import Fit

SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What splits are called, in lower case."""


@dataclass(frozen=True)
class Files:
    """Picture files of one split.

    Attributes:
        paths: below the source's folder, in an order that is the same at every call; they are the ids.
        labels: int64 (n,).
    """

    paths: tuple[str, ...]
    labels: np.ndarray

    def rows(self, index: np.ndarray) -> "Files":
        """Some of them."""
        return Files(tuple(self.paths[i] for i in index), self.labels[index])


def source(
    kind: str,
    location: Path,
    folder: Path,
    splits: Mapping[Split, Files],
    class_names: tuple[str, ...],
    notes: tuple[str, ...] = (),
    *,
    image_size: int | None = None,
    fit: Fit = "pad",
    reading: Reading | None = None,
) -> Source:
    """The source that these files make; where none are for testing, a tenth of the others is held out.

    Args:
        kind: which reader found them.
        location: what the user gave.
        folder: that paths count from.
        splits: those that there are, training among them.
        class_names: in the order of the labels.
        notes: what was noticed on the way.
        image_size: as in `datasets.find`; so are `fit` and `reading`.

    Raises:
        DataError: a class with a single picture, where test pictures have to be held out.
    """
    splits, held_out = dict(splits), "test" not in splits
    if held_out:
        everything = splits["train"]
        train, test = hold_out(everything.labels, class_names, str(location))
        splits |= {"train": everything.rows(train), "test": everything.rows(test)}
        notes += (note(test, len(everything.labels)),)

    shapes: list[Shape] = []

    def read(split: Split) -> Dataset:
        if not shapes:
            sizes = sizes_of(folder / path for path in splits["train"].paths)
            shapes.append(choose_shape(sizes, image_size, fit))
        own = splits[split]
        files = [folder / path for path in own.paths]
        # Training pictures are read again and again; test pictures have one door, and no copies elsewhere.
        origin = None if split == "test" else Origin(f"{location.resolve()} {split}", files)
        return gather(
            files, own.labels, own.paths, class_names, split, shapes[0], origin=origin, reading=reading
        )

    def encoded(split: Split) -> Iterator[Encoded]:
        for path, label in zip(splits[split].paths, splits[split].labels, strict=True):
            yield path, int(label), folder / path

    order: tuple[Split, ...] = ("train", "validation", "test")
    there = tuple(split for split in order if split in splits)
    return Source(kind, str(location), class_names, there, read, notes, encoded, held_out)
