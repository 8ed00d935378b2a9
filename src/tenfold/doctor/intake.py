"""All pictures of a source in one array, whatever keeps them, with what went wrong on the way."""

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tenfold import datasets
from tenfold.datasets import Dataset, Source
from tenfold.datasets.dataset import Encoded
from tenfold.doctor import files
from tenfold.doctor.findings import Finding, Picture

SIZE = 32
"""Side in pixels at which pictures are compared."""

_ROUND = 512  # pictures that are read at a time, so that encoded bytes never pile up


@dataclass(frozen=True)
class Intake:
    """The pictures of every split that can be read, and what is wrong with single ones.

    Attributes:
        location: the data, as found.
        kind: which reader they need.
        class_names: the classes, those that only validation or test has at the end.
        counts: for each split, pictures by class, unreadable ones included.
        pictures: n names.
        labels: int64 (n,); those of test pictures are for counting only.
        images: uint8 (n, size, size, 3), squashed to squares.
        digests: n hashes of decoded pixels.
        findings: about single files.
        notes: what the readers said.
    """

    location: str
    kind: str
    class_names: tuple[str, ...]
    counts: dict[str, Counter[str]]
    pictures: tuple[Picture, ...]
    labels: np.ndarray
    images: np.ndarray
    digests: tuple[bytes, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def rows(self, split: str) -> np.ndarray:
        """Where the pictures of a split are, ascending."""
        return np.flatnonzero([picture.split == split for picture in self.pictures])

    def labelled(self) -> np.ndarray:
        """Where the pictures are whose labels may be used: all but those of the test split."""
        return np.flatnonzero([picture.split != "test" for picture in self.pictures])

    def dataset(self, rows: np.ndarray) -> Dataset:
        """Some of the pictures with their labels, as training takes them."""
        ids = tuple(self.pictures[row].id for row in rows)
        return Dataset(self.images[rows], self.labels[rows], self.class_names, ids)


def take(data: str | Path, size: int = SIZE) -> Intake:
    """Reads every split of `data`.

    Test pictures are read too, to be compared with the others; nobody scores anything on them.

    Args:
        data: a name or a path, as `datasets.find` takes it. A folder may lack classes in some splits.
        size: side in pixels that pictures are brought to.

    Raises:
        DataError: nothing usable there.
    """
    source = datasets.find(data, image_size=size, fit="squash", strict=False)
    found = [*files.unseen(Path(source.location))] if source.kind == "folder" else []
    parts = [_part(source, split, size, found) for split in source.splits]
    said = tuple(dict.fromkeys((*source.notes, *(note for part in parts for note in part.notes))))
    return Intake(
        location=source.location,
        kind=source.kind,
        class_names=source.class_names,
        counts={split: part.counts for split, part in zip(source.splits, parts, strict=True)},
        pictures=tuple(picture for part in parts for picture in part.pictures),
        labels=np.concatenate([part.labels for part in parts]),
        images=np.concatenate([part.images for part in parts]),
        digests=tuple(digest for part in parts for digest in part.digests),
        findings=tuple(found),
        notes=said,
    )


@dataclass(frozen=True)
class _Part:
    counts: Counter[str]
    pictures: list[Picture]
    labels: np.ndarray
    images: np.ndarray
    digests: list[bytes]
    notes: tuple[str, ...] = ()


def _picture(split: str, name: str, label: str) -> Picture:
    return Picture(split, name, None if split == "test" else label)


def _part(source: Source, split: datasets.Split, size: int, found: list[Finding]) -> _Part:
    names = source.class_names
    if source.encoded is not None:
        return _decoded(source.encoded(split), split, names, size, found)
    data = source.read(split)
    pictures = [
        _picture(split, name, names[label]) for name, label in zip(data.ids, data.labels, strict=True)
    ]
    found += [files.blank(pictures[row]) for row, image in enumerate(data.images) if files.is_blank(image)]
    counts = Counter(names[label] for label in data.labels)
    digests = [files.digest(image) for image in data.images]
    return _Part(counts, pictures, data.labels, data.images, digests, data.notes)


def _decoded(
    encoded: Iterable[Encoded], split: str, names: tuple[str, ...], size: int, found: list[Finding]
) -> _Part:
    counts: Counter[str] = Counter()
    pictures, labels, images, digests = [], [], [np.empty((0, size, size, 3), np.uint8)], []
    items = iter(encoded)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while batch := list(islice(items, _ROUND)):
            called = [_picture(split, name, names[label]) for name, label, _ in batch]
            checks = list(pool.map(files.check, called, [item[2] for item in batch], [size] * len(batch)))
            counts.update(names[label] for _, label, _ in batch)
            for name, (_, label, _), checked in zip(called, batch, checks, strict=True):
                found += checked.findings
                if checked.pixels is not None:
                    pictures.append(name)
                    labels.append(label)
                    digests.append(checked.digest)
                    images.append(checked.pixels[np.newaxis])
    return _Part(counts, pictures, np.array(labels, np.int64), np.concatenate(images), digests)
