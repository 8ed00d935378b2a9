"""What every reader returns: a Source that knows its splits, and a Dataset that holds one of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Dataset:
    """Pictures of one split, in memory.

    Attributes:
        images: uint8, (n, height, width, 3), channels last, RGB.
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
        """The pictures at `index` (int, any order), copied; class names and notes are kept."""
        ids = tuple(self.ids[i] for i in index)
        return Dataset(self.images[index], self.labels[index], self.class_names, ids, self.notes)


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
    """

    kind: str
    location: str
    class_names: tuple[str, ...]
    splits: tuple[Split, ...]
    read: Callable[[Split], Dataset] = field(repr=False)
    notes: tuple[str, ...] = ()
