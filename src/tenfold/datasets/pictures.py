"""Many encoded pictures, or one array of them, brought to one square size and gathered into a Dataset."""

import itertools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.datasets.dataset import Dataset, Split
from tenfold.datasets.labels import absent
from tenfold.errors import DataError
from tenfold.images import Fit, measure, read, resize

SMALLEST, LARGEST, USUAL = 8, 256, 32
"""Sides in pixels: the range that `image_size` allows, and what pictures of mixed sizes come to."""

_NAMED = 5
# One task for one tiny picture costs more than the picture: 5.2 s for CIFAR-10 against 3.9 s.
_CHUNK, _CHUNKS = 64, 16


@dataclass(frozen=True)
class Shape:
    """The square that a source's pictures are brought to.

    Attributes:
        size: side in pixels.
        fit: what to do with pictures that are not square.
        notes: why that size, where nobody chose it.
    """

    size: int
    fit: Fit
    notes: tuple[str, ...] = ()


def choose_shape(sizes: Iterable[tuple[int, int]], image_size: int | None, fit: Fit) -> Shape:
    """`image_size` where given; else the pictures' own size where all share one square; else 32.

    Decided by the training pictures for every split, so that splits never differ.

    Args:
        sizes: width and height of the training pictures; read only as far as needed.
        image_size: the side that the user asked for.
        fit: passed on.
    """
    if image_size is not None:
        return Shape(image_size, fit)
    sizes = iter(sizes)
    width, height = next(sizes, (0, 0))
    if any(size != (width, height) for size in sizes):
        seen = "Pictures differ in size"
    elif width == height and SMALLEST <= width <= LARGEST:
        return Shape(width, fit)
    else:
        seen = f"Pictures have {width} x {height} pixels"
    note = f"{seen}: each is brought to {USUAL} x {USUAL} ({fit}). Choose another size with --image-size."
    return Shape(USUAL, fit, (note,))


def sizes_of(sources: Iterable[Path | bytes]) -> Iterable[tuple[int, int]]:
    """Width and height of each picture that has a readable header, in order."""
    for source in sources:
        try:
            yield measure(source)
        except DataError:
            continue


def gather(
    sources: Iterable[Path | bytes],
    labels: np.ndarray,
    ids: Sequence[str],
    class_names: tuple[str, ...],
    split: Split,
    shape: Shape,
) -> Dataset:
    """Decodes every picture, leaves out and names those that cannot be read.

    Args:
        sources: files, or the bytes of files, in the order of `labels`; may be a generator, of which
            no more than a thousand are held at a time.
        labels: int64, (n,).
        ids: n names, for the Dataset and for messages.
        class_names: of the whole source.
        split: for messages.
        shape: the common size.

    Raises:
        DataError: not one picture can be read.
    """
    images = np.empty((len(labels), shape.size, shape.size, 3), np.uint8)
    problems: dict[int, str] = {}

    def place(chunk: list[tuple[int, Path | bytes]]) -> None:
        for row, source in chunk:
            try:
                images[row] = read(source, shape.size, shape.fit, ids[row])
            except DataError as error:
                problems[row] = str(error)

    rows = enumerate(sources)
    chunks = iter(lambda: list(itertools.islice(rows, _CHUNK)), [])
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        # In rounds: encoded bytes never pile up, and an interrupt has little to wait for.
        while round_of_chunks := list(itertools.islice(chunks, _CHUNKS)):
            list(pool.map(place, round_of_chunks))
    if len(problems) == len(labels):
        raise DataError(f"None of the {len(labels)} {split} pictures can be read. First: {problems[0]}")
    notes = shape.notes
    if problems:
        kept = np.array([row not in problems for row in range(len(labels))])
        images, labels = images[kept], labels[kept]
        ids = [name for row, name in enumerate(ids) if row not in problems]
        notes += (_skipped(problems, split),)
    notes += absent(labels, class_names, split)
    return Dataset(images, labels, class_names, tuple(ids), notes)


def resize_all(images: np.ndarray, shape: Shape) -> np.ndarray:
    """uint8 (n, height, width, 3) brought to (n, size, size, 3); `images` itself where it has that size."""
    if images.shape[1:3] == (shape.size, shape.size):
        return images
    resized = np.empty((len(images), shape.size, shape.size, 3), np.uint8)
    for row, image in enumerate(images):
        resized[row] = resize(image, shape.size, shape.fit)
    return resized


def _skipped(problems: dict[int, str], split: Split) -> str:
    first = [problems[row] for row in sorted(problems)[:_NAMED]]
    more = len(problems) - len(first)
    count = "1 picture that" if len(problems) == 1 else f"{len(problems)} pictures that"
    ending = f" And {more} more." if more else ""
    return f"Skipped {count} cannot be read in {split}. {' '.join(first)}{ending}"
