"""Pictures that stay on the disk: rows of memory maps, read when they are asked for."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

_PIECE = 2**25  # bytes of pixels at a time: 10,922 pictures of 32 x 32, 170 of 256 x 256


class Rows:
    """Some rows of some arrays, in any order, without a copy of them.

    It stands in for the pixels of a `Dataset` that would take too much memory. `shape`, `dtype`, `ndim`,
    `nbytes`, `len` and reading by a number, a slice, numbers or truth values are those of NumPy; what is read
    is a copy in memory, so nothing may ask for all of it at once (see `pieces`).

    Args:
        parts: arrays or memory maps that differ in their length alone, thought of one behind the other.
        index: int (n,), the rows; by default all of them, in their order.
    """

    def __init__(self, parts: Sequence[np.ndarray], index: np.ndarray | None = None):
        self.parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in self.parts])
        self.index = np.arange(self._ends[-1]) if index is None else index
        self.shape = (len(self.index), *self.parts[0].shape[1:])
        self.dtype, self.ndim = self.parts[0].dtype, self.parts[0].ndim

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> np.ndarray:
        chosen = self.index[key]
        return self._read(chosen) if np.ndim(chosen) else self._read(np.array([chosen]))[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Rows on the disk cannot become an array without a copy.")
        return self[:].astype(dtype or self.dtype, copy=False)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        if len(self.parts) == 1:
            return self.parts[0][rows]
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        owner = np.searchsorted(self._ends, rows, side="right")
        for number, part in enumerate(self.parts):
            own = owner == number
            found[own] = part[rows[own] - (self._ends[number] - len(part))]
        return found


def select(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The rows at `index` (int): a copy of an array, `Rows` of what is on the disk."""
    if isinstance(images, Rows):
        return as_images(Rows(images.parts, images.index[index]))
    return images[index]


def stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays and `Rows` one behind the other; `Rows` where any of them is."""
    if not any(isinstance(array, Rows) for array in arrays):
        return np.concatenate(arrays)
    parts: list[np.ndarray] = []
    index, before = [], 0
    for array in arrays:
        rows = array if isinstance(array, Rows) else Rows([array])
        parts += rows.parts
        index.append(rows.index + before)
        before += sum(map(len, rows.parts))
    return as_images(Rows(parts, np.concatenate(index)))


def pieces(images: np.ndarray, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """The pictures, or those at `rows` (int), in their order, some megabytes at a time.

    Args:
        images: (n, ...), an array or `Rows`.
        rows: which of them.
    """
    step = max(1, _PIECE // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(images) if rows is None else len(rows), step):
        part = slice(start, start + step)
        yield images[part] if rows is None else images[rows[part]]


def as_images(rows: Rows) -> np.ndarray:
    """`rows` for a place that is written for arrays and keeps to what `Rows` can do."""
    return cast(np.ndarray, rows)
