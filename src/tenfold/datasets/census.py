"""What a source holds, in numbers: pictures by split and class, and their sizes."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tenfold import images
from tenfold.datasets.dataset import Source
from tenfold.errors import DataError

_MEASURED = 100  # pictures of each class whose headers are read


@dataclass(frozen=True)
class Census:
    """What a source holds, in numbers.

    Attributes:
        kind: which reader it is.
        location: the path or name, as found.
        class_names: in the order of the labels.
        counts: for each split, pictures by class, in that order; unreadable ones among them.
        sizes: width and height of the smallest and of the largest of some training pictures; None where none
            can be read.
        notes: plain sentences about what was noticed.
    """

    kind: str
    location: str
    class_names: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    sizes: tuple[tuple[int, int], tuple[int, int]] | None
    notes: tuple[str, ...]


def count(source: Source) -> Census:
    """Counts a source's pictures without decoding them, where the source keeps files.

    Of test pictures the labels are counted, and nothing else is looked at.

    Raises:
        DataError: as reading the source does.
    """
    counts: dict[str, tuple[int, ...]] = {}
    sizes: set[tuple[int, int]] = set()
    notes = list(source.notes)
    for split in source.splits:
        if source.encoded is None:
            part = source.read(split)
            found = Counter(part.labels.tolist())
            notes += part.notes
            if split == "train":
                height, width = part.images.shape[1:3]
                sizes.add((width, height))
        else:
            found, unreadable = Counter(), 0
            for _, label, content in source.encoded(split):
                found[label] += 1
                if split == "train" and found[label] <= _MEASURED:
                    try:
                        sizes.add(images.measure(content))
                    except DataError:
                        unreadable += 1
            if unreadable:
                notes.append(
                    f"{unreadable:,} of the {split} pictures that were measured cannot be read. "
                    "To have all of them named: tenfold doctor"
                )
        counts[split] = tuple(found[label] for label in range(len(source.class_names)))
    by_area = sorted(sizes, key=np.prod)
    extremes = (by_area[0], by_area[-1]) if by_area else None
    names = source.class_names
    return Census(source.kind, source.location, names, counts, extremes, tuple(dict.fromkeys(notes)))
