"""Which pictures are the same one in another coat: moved by a pixel, saved again, brightened, mirrored.

In two steps. Small descriptors of all pictures are compared with each other by blocked matrix products, which
leaves some ten thousand candidates of 1.8 thousand million pairs. Each candidate is then compared pixel by
pixel, over moves of up to two pixels, whatever gain and offset lie between the two; what decides is the
correlation of their details, as unrelated pictures of sky over sea agree in all else. Thresholds were chosen
on training pictures of CIFAR-10 and altered copies of them; how they do is in docs/results.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CANDIDATE = 0.87
"""Cosine of two descriptors from which a pair is looked at: 98 % of the copies moved by a pixel reach it."""
DETAILS = 0.7
"""Correlation of the details from which two pictures are near duplicates. Of copies saved as JPEG of quality
50 to 90, 99 % reach 0.84; no pair of training pictures above 0.68 was seen to show two things."""
WHOLE = 0.85
"""Correlation of the brightness that they must reach as well."""
LEARNED = 0.94
"""Cosine of two learned features from which a pair is looked at."""
LEARNED_DETAILS = 0.62
"""Correlation of the details that suffices where the learned features agree."""

_MOVE, _LEARNED_MOVE = 2, 3  # pixels
_GRID, _COLOUR_GRID = 8, 4  # cells a side of the descriptor
_TILE = 4096  # rows of a matrix product: 64 MiB of float32
_CHUNK = 2048  # pairs that are compared at a time
_BOX = 5  # pixels; details are what a box of this side takes out
_FLAT = 1e-3  # a norm below this is that of an even picture
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Pairs:
    """Near duplicates.

    Attributes:
        first: int64 (m,), rows of pictures, each below its partner's.
        second: int64 (m,).
        likeness: float32 (m,), the correlation of their details, up to 1.
        mirrored: bool (m,), whether one is the other's mirror image.
        learned: bool (m,), whether learned features were needed to find the pair.
    """

    first: np.ndarray
    second: np.ndarray
    likeness: np.ndarray
    mirrored: np.ndarray
    learned: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def near_duplicates(images: np.ndarray, features: np.ndarray | None = None) -> Pairs:
    """All pairs of pictures that show the same with small changes.

    Even pictures, which show nothing to compare, are in no pair.

    Args:
        images: uint8 (n, size, size, 3).
        features: float32 (n, d), from a trained network, to look at pairs too whose small descriptors differ;
            those count with less agreement of their pixels.
    """
    descriptors = describe(images)
    found = []
    for mirrored in (False, True):
        others = describe(images[:, :, ::-1]) if mirrored else descriptors
        pairs = candidates(descriptors, others, CANDIDATE)
        found.append(_verified(images, *pairs, mirrored, learned=False))
    if features is not None:
        unit = features - features.mean(axis=0)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), _FLAT)
        pairs = candidates(unit, unit, LEARNED)
        found += [_verified(images, *pairs, mirrored, learned=True) for mirrored in (False, True)]
    return _once(found)


def describe(images: np.ndarray) -> np.ndarray:
    """Brightness in 8 x 8 cells and colour in 4 x 4, mean and contrast removed: float32 (n, 96), of length 1.

    Pictures without contrast give zeros, which are like nothing.
    """
    described = np.empty((len(images), _GRID**2 + 2 * _COLOUR_GRID**2), np.float32)
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK].astype(np.float32)
        luma = part @ _LUMA
        blue, red = part[..., 2] - luma, part[..., 0] - luma
        # A colour's cell stands for as many pixels as four of brightness.
        planes = [(luma, _GRID, 1.0), (blue, _COLOUR_GRID, 2.0), (red, _COLOUR_GRID, 2.0)]
        cells = [weight * _centred(_pooled(plane, grid)) for plane, grid, weight in planes]
        rows = np.concatenate(cells, axis=1)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        described[start : start + _CHUNK] = np.where(norms > _GRID, rows / np.maximum(norms, _FLAT), 0)
    return described


def candidates(ours: np.ndarray, theirs: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """All i < j with a cosine of ours[i] and theirs[j] of at least `least`.

    Args:
        ours: float32 (n, d), rows of length 1.
        theirs: the same of the mirrored pictures, say: the cosine of i and j is that of j and i.
        least: up to 1.

    Returns:
        int64 (m,) and (m,).
    """
    firsts, seconds = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(ours), _TILE):
        for other in range(start, len(ours), _TILE):
            products = ours[start : start + _TILE] @ theirs[other : other + _TILE].T
            flat = np.flatnonzero(products >= least)
            first, second = np.divmod(flat, products.shape[1])
            first, second = first + start, second + other
            firsts.append(first[first < second])
            seconds.append(second[first < second])
    return np.concatenate(firsts), np.concatenate(seconds)


def compare(ours: np.ndarray, theirs: np.ndarray, move: int) -> tuple[np.ndarray, np.ndarray]:
    """How well pictures agree, pair by pair, at the best of all moves.

    Args:
        ours: uint8 (m, size, size, 3).
        theirs: the same.
        move: pixels either way that are tried.

    Returns:
        float32 (m,): correlation of the brightness; float32 (m,): of the details. Both in [-1, 1].
    """
    wholes = ours.astype(np.float32) @ _LUMA, theirs.astype(np.float32) @ _LUMA
    return _best(*wholes, move), _best(_details(wholes[0]), _details(wholes[1]), move)


def _verified(
    images: np.ndarray, first: np.ndarray, second: np.ndarray, mirrored: bool, learned: bool
) -> Pairs:
    move = _LEARNED_MOVE if learned else _MOVE
    least = LEARNED_DETAILS if learned else DETAILS
    likeness = np.empty(len(first), np.float32)
    for start in range(0, len(first), _CHUNK):
        rows = slice(start, start + _CHUNK)
        theirs = images[second[rows]]
        whole, details = compare(images[first[rows]], theirs[:, :, ::-1] if mirrored else theirs, move)
        likeness[rows] = np.where(whole >= WHOLE, details, -1)
    kept = likeness >= least
    count = int(kept.sum())
    return Pairs(first[kept], second[kept], likeness[kept], np.full(count, mirrored), np.full(count, learned))


def _once(found: list[Pairs]) -> Pairs:
    """Each pair once, as it was found first."""
    columns = [np.concatenate([getattr(pairs, name) for pairs in found]) for name in Pairs.__annotations__]
    _, rows = np.unique(np.stack(columns[:2]), axis=1, return_index=True)
    return Pairs(*(column[rows] for column in columns))


def _pooled(plane: np.ndarray, grid: int) -> np.ndarray:
    """Means over grid x grid cells: (n, size, size) to (n, grid * grid); size is `grid` or more."""
    edges = np.linspace(0, plane.shape[1], grid, endpoint=False).astype(int)
    sides = np.diff(np.append(edges, plane.shape[1])).astype(np.float32)
    sums = np.add.reduceat(np.add.reduceat(plane, edges, axis=1), edges, axis=2)
    return (sums / (sides[:, None] * sides)).reshape(len(plane), -1)


def _centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=1, keepdims=True)


def _details(planes: np.ndarray) -> np.ndarray:
    """What is left of (m, size, size) when a sliding mean is taken off, and the mean of each row and column.

    The latter, as a horizon is otherwise the strongest detail of any picture that has one.
    """
    half = _BOX // 2
    padded = np.pad(planes, ((0, 0), (half + 1, half), (half + 1, half)), mode="edge")
    padded[:, 0], padded[:, :, 0] = 0, 0
    sums = padded.cumsum(axis=1).cumsum(axis=2)
    boxes = sums[:, _BOX:, _BOX:] - sums[:, :-_BOX, _BOX:] - sums[:, _BOX:, :-_BOX] + sums[:, :-_BOX, :-_BOX]
    details = planes - boxes / _BOX**2
    details -= details.mean(axis=1, keepdims=True)
    details -= details.mean(axis=2, keepdims=True)
    return details


def _best(ours: np.ndarray, theirs: np.ndarray, move: int) -> np.ndarray:
    """The highest correlation over all moves of (m, size, size) by up to `move` pixels each way."""
    side = ours.shape[1] - 2 * move
    inner = _centred(ours[:, move : move + side, move : move + side].reshape(len(ours), -1))
    inner /= np.maximum(np.linalg.norm(inner, axis=1, keepdims=True), _FLAT)
    best = np.full(len(ours), -1, np.float32)
    for down, right in _moves(move):
        moved = _centred(theirs[:, down : down + side, right : right + side].reshape(len(theirs), -1))
        norms = np.maximum(np.linalg.norm(moved, axis=1), _FLAT)
        np.maximum(best, np.einsum("ij,ij->i", inner, moved) / norms, out=best)
    return np.minimum(best, 1)  # rounding may bring it above


def _moves(move: int) -> Iterator[tuple[int, int]]:
    steps = range(2 * move + 1)
    return ((down, right) for down in steps for right in steps)
