"""Many encoded pictures, or one array of them, brought to one square size and gathered into a Dataset."""

import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.datasets import store
from tenfold.datasets.dataset import Dataset, Reading, Split
from tenfold.datasets.labels import absent
from tenfold.datasets.rows import select
from tenfold.errors import DataError
from tenfold.images import Fit, measure, read, resize

SMALLEST, LARGEST, USUAL = 8, 256, 32
"""Sides in pixels: the range that `image_size` allows, and what pictures of mixed sizes come to."""

_NAMED = 5
_CHUNKS = 16  # pieces a round, not pictures: a task for each took 5.2 s for CIFAR-10, pieces of 64 took 3.9 s


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
    *,
    origin: store.Origin | None = None,
    reading: Reading | None = None,
) -> Dataset:
    """Decodes every picture, leaves out and names those that cannot be read.

    Threads do it, not processes: Pillow lets go of Python's lock while it decodes and resizes, nearly all
    that a photograph costs, and threads neither start Python anew nor copy what they have read.

    Args:
        sources: files, or the bytes of files, in the order of `labels`, of which no more than a thousand are
            held at a time; with an `origin` it may be gone through twice.
        labels: int64, (n,).
        ids: n names, for the Dataset and for messages.
        class_names: of the whole source.
        split: for messages.
        shape: the common size.
        origin: where the pictures come from, so that `store` may keep them decoded.
        reading: told after every round of a thousand.

    Raises:
        DataError: not one picture can be read. ResourceError: as `store.collect`.
    """

    def make(finished: Collection[int]) -> Iterator[store.Piece]:
        return _pieces(sources, ids, shape, finished, reading)

    images, problems = store.collect(len(labels), shape.size, make, origin, shape.fit)
    if len(problems) == len(labels):
        raise DataError(f"None of the {len(labels)} {split} pictures can be read. First: {problems[0]}")
    notes = shape.notes
    if problems:
        kept = np.array([row for row in range(len(labels)) if row not in problems])
        images, labels = select(images, kept), labels[kept]
        ids = [ids[row] for row in kept]
        notes += (_skipped(problems, split),)
    notes += absent(labels, class_names, split)
    return Dataset(images, labels, class_names, tuple(ids), notes)


def _pieces(
    sources: Iterable[Path | bytes],
    ids: Sequence[str],
    shape: Shape,
    finished: Collection[int],
    reading: Reading | None,
) -> Iterator[store.Piece]:
    """What `store.Make` describes, decoded by threads."""

    def decode(chunk: list[tuple[int, Path | bytes]]) -> store.Piece:
        piece = store.Piece(chunk[0][0], np.zeros((len(chunk), shape.size, shape.size, 3), np.uint8), {})
        for place, (row, source) in enumerate(chunk):
            try:
                piece.pixels[place] = read(source, shape.size, shape.fit, ids[row])
            except DataError as error:
                piece.problems[row] = str(error)
        return piece

    rows, length = enumerate(sources), store.piece_size(shape.size)
    chunks = iter(lambda: list(itertools.islice(rows, length)), [])
    wanted = (chunk for chunk in chunks if chunk[0][0] not in finished)
    done = length * len(finished)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        # In rounds: encoded bytes never pile up, and an interrupt has little to wait for.
        while round_of_chunks := list(itertools.islice(wanted, _CHUNKS)):
            for piece in pool.map(decode, round_of_chunks):
                done += len(piece.pixels)
                yield piece
            if reading is not None and done > length * _CHUNKS:
                reading(min(done, len(ids)), len(ids))


def resize_all(images: np.ndarray, shape: Shape) -> np.ndarray:
    """uint8 (n, height, width, 3) brought to (n, size, size, 3); `images` itself where it has that size.

    Raises:
        ResourceError: as `store.collect`.
    """
    if images.shape[1:3] == (shape.size, shape.size):
        return images

    def make(_: Collection[int]) -> Iterator[store.Piece]:
        length = store.piece_size(shape.size)
        for start in range(0, len(images), length):
            part = [resize(image, shape.size, shape.fit) for image in images[start : start + length]]
            yield store.Piece(start, np.stack(part), {})

    return store.collect(len(images), shape.size, make)[0]


def _skipped(problems: dict[int, str], split: Split) -> str:
    first = [problems[row] for row in sorted(problems)[:_NAMED]]
    more = len(problems) - len(first)
    count = "1 picture that" if len(problems) == 1 else f"{len(problems)} pictures that"
    ending = f" And {more} more." if more else ""
    return f"Skipped {count} cannot be read in {split}. {' '.join(first)}{ending}"
