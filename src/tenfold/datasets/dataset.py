"""What every reader returns: a Source that knows its splits, and a Dataset that holds one of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from tenfold.datasets.rows import select, stacked

Split = Literal["train", "validation", "test"]

Reading = Callable[[int, int], None]
"""Called with the pictures of a split that are decoded, and all of them."""

Encoded = tuple[str, int, Path | bytes]
"""A picture as its source keeps it: id, label, and the file or the bytes of one."""


@dataclass(frozen=True)
class Dataset:
    """Pictures of one split, in memory, or on the disk where they would take too much of it.

    Attributes:
        images: uint8, (n, height, width, 3), channels last, RGB: an array, or `rows.Rows`, of which nothing
            may ask for all pictures at once.
        labels: int64, (n,), each in [0, len(class_names)).
        class_names: the classes in the order of the labels, the same for every split of a source.
        ids: one name a picture: a file's path below the source, or a row key; unique within the split.
        notes: plain sentences about what the reader noticed (skipped files, a missing class).
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, index: np.ndarray) -> "Dataset":
        """The pictures at `index` (int, any order), copied from memory; class names and notes are kept."""
        ids = tuple(self.ids[i] for i in index)
        images = select(self.images, index)
        return Dataset(images, self.labels[index], self.class_names, ids, self.notes)


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Splits of one source as one, in their order; at least one."""
    if len(parts) == 1:
        return parts[0]
    return Dataset(
        stacked([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        parts[0].class_names,
        tuple(name for part in parts for name in part.ids),
        tuple(note for part in parts for note in part.notes),
    )


@dataclass(frozen=True)
class Source:
    """Where pictures come from. Finding one reads no picture; `read(split)` reads that split and no other.

    Attributes:
        kind: which reader it is, for example "cifar-parquet" or "folder".
        location: the path or name, as found.
        class_names: the classes, from the training split or the source's own list.
        splits: those of train, validation and test that exist. Where the source keeps no test
            pictures apart, its reader holds some out, the same ones at every call.
        read: loads one split.
        notes: plain sentences about what was noticed on finding it.
        encoded: the pictures of one split undecoded, unreadable ones among them; None where the source
            keeps pixels.
        held_out: whether the test split is one that the reader held out.
    """

    kind: str
    location: str
    class_names: tuple[str, ...]
    splits: tuple[Split, ...]
    read: Callable[[Split], Dataset] = field(repr=False)
    notes: tuple[str, ...] = ()
    encoded: Callable[[Split], Iterable[Encoded]] | None = field(default=None, repr=False)
    held_out: bool = False
