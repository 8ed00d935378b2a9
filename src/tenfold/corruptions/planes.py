"""Pictures as colour planes, and what moves, blurs and stretches planes.

Corruptions work on float32 planes (3, n, height, width): every operation then runs along contiguous memory,
and a field (n, height, width) that is the same for all colours broadcasts without a copy. Beyond its border a
picture goes on as its mirror image about the outermost pixel, as in the crops that models are trained with.
"""

import numpy as np
from scipy import sparse

LATTICE = 32
"""Pixels of a side that published parameters are meant for; other sizes scale what is counted in pixels."""


def unit(images: np.ndarray) -> float:
    """How many pixels of these pictures (n, height, width, 3) one pixel of a 32 x 32 picture is.

    Never less than half a pixel, or blur would leave the smallest pictures as they are.
    """
    return max(0.5, min(images.shape[1:3]) / LATTICE)


def split(images: np.ndarray) -> np.ndarray:
    """Uint8 pictures (n, height, width, 3) as new float32 planes (3, n, height, width), 0 to 255."""
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)).astype(np.float32)


def join(planes: np.ndarray) -> np.ndarray:
    """Planes (3, n, height, width) as uint8 pictures, rounded and cut to 0 to 255; overwrites the planes."""
    np.clip(np.rint(planes, out=planes), 0, 255, out=planes)
    return np.ascontiguousarray(planes.astype(np.uint8).transpose(1, 2, 3, 0))


def mirrored(places: np.ndarray, size: int | np.ndarray) -> np.ndarray:
    """Places on a line of pixels, int or float, folded into 0 to size - 1 (size 2 or more)."""
    last = size - 1
    return last - np.abs(last - np.abs(places) % (2 * last))


def smoothing(size: int, weights: np.ndarray) -> np.ndarray:
    """The matrix (size, size) that convolves a line with an odd number of weights, centred on the pixel."""
    reach = len(weights) // 2
    pixel = np.arange(size)[:, None]
    matrix = np.zeros((size, size), np.float32)
    np.add.at(matrix, (pixel, mirrored(pixel + np.arange(-reach, reach + 1), size)), weights)
    return matrix


def bell(sigma: float, reach: int) -> np.ndarray:
    """Gaussian weights from -reach to reach that add up to 1."""
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def gaussian(size: int, sigma: float) -> np.ndarray:
    """The matrix (size, size) of a Gaussian blur, its weights cut off at four sigma."""
    return smoothing(size, bell(sigma, int(4 * sigma + 0.5)))


def stretch(size: int, zoom: float = 1.0) -> np.ndarray:
    """The matrix (size, 32) that brings a line of the lattice to `size` pixels, linearly.

    Random fields are drawn on a lattice of 32 x 32 whatever the size of the picture, so that drops, flakes
    and waves cover the same share of it.

    Args:
        size: pixels of the picture's side.
        zoom: 1 or more; above 1 the middle of the lattice is magnified to fill the picture.
    """
    middle = (LATTICE - 1) / 2
    places = middle + ((np.arange(size) + 0.5) * LATTICE / size - 0.5 - middle) / zoom
    places = np.clip(places, 0, LATTICE - 1)
    lower = np.minimum(places.astype(int), LATTICE - 2)
    matrix = np.zeros((size, LATTICE), np.float32)
    matrix[np.arange(size), lower] = lower + 1 - places
    matrix[np.arange(size), lower + 1] = places - lower
    return matrix


def separable(planes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Planes (..., h, w): columns times the matrix `rows` (height, h), rows times `columns` (width, w)."""
    width, old = columns.shape
    wide = planes.reshape(-1, old) @ columns.T
    return np.matmul(rows, wide.reshape(*planes.shape[:-1], width))


def warping(height: int, width: int, affine: np.ndarray) -> sparse.csr_array:
    """The matrix (height * width, height * width) that shows a plane through an affine map, bilinearly.

    Args:
        affine: (2, 3); times (row, column, 1) of a place in the new picture, counted from its middle, it
            gives the place of the old picture that is seen there, counted likewise.
    """
    middle = (np.array([height, width]) - 1) / 2
    grid = np.indices((height, width)).reshape(2, -1)
    old = affine[:, :2] @ (grid - middle[:, None]) + (affine[:, 2] + middle)[:, None]
    # Sines and cosines leave places off by 1e-15, which would blur a picture that is moved by whole pixels.
    old = mirrored(np.round(old, 9), np.array([[height], [width]]))
    (row, column), (down, right) = _corner(old[0], old[1], height, width)
    entries = [
        ((1 - down) * (1 - right), row * width + column),
        ((1 - down) * right, row * width + column + 1),
        (down * (1 - right), (row + 1) * width + column),
        (down * right, (row + 1) * width + column + 1),
    ]
    weights, places = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    own = np.tile(np.arange(height * width), 4)
    matrix = sparse.csr_array((weights.astype(np.float32), (own, places)), (height * width,) * 2)
    matrix.eliminate_zeros()
    return matrix


def warp(planes: np.ndarray, matrix: sparse.csr_array) -> np.ndarray:
    """Planes (..., height, width), each multiplied as one vector by a sparse matrix."""
    flat = np.ascontiguousarray(planes.reshape(-1, matrix.shape[1]).T)
    return (matrix @ flat).T.reshape(planes.shape)


def look_up(planes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Planes (3, n, height, width) read bilinearly at other places for every picture.

    Args:
        rows: float32 (n, height, width), mirrored where they leave the picture.
        columns: the same.
    """
    _, n, height, width = planes.shape
    (row, column), (down, right) = _corner(mirrored(rows, height), mirrored(columns, width), height, width)
    place = (row * width + column + (np.arange(n) * height * width)[:, None, None]).astype(np.intp)
    seen = np.empty_like(planes)
    for plane, out in zip(planes.reshape(3, -1), seen, strict=True):
        upper, lower = (
            (1 - right) * plane.take(at) + right * plane.take(at + 1) for at in (place, place + width)
        )
        out[...] = upper + down * (lower - upper)
    return seen


def _corner(
    rows: np.ndarray, columns: np.ndarray, height: int, width: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The pixel above and left of each place, and how far down and right of it the place lies, 0 to 1."""
    row = np.minimum(rows.astype(np.int32), height - 2)
    column = np.minimum(columns.astype(np.int32), width - 2)
    return (row, column), (rows - row, columns - column)


def streak(images: np.ndarray, angles: np.ndarray, radius: float, sigma: float) -> np.ndarray:
    """Pictures in motion: every pixel becomes a mean over those in one direction, as ImageMagick does it.

    The weights are half a Gaussian, from the pixel itself on; those below a thousandth are left out.

    Args:
        images: (n, height, width, channels).
        angles: degrees (n,), clockwise from the right.
        radius: of the motion in pixels: 2 * ceil(radius) + 1 pixels take part.
        sigma: deviation of the weights in pixels.

    Returns:
        float32, of the same shape.
    """
    n, height, width, channels = images.shape
    weights = np.exp(-0.5 * (np.arange(2 * np.ceil(radius) + 1) / sigma) ** 2)
    weights = weights[weights > 1e-3 * weights.sum()]
    weights /= weights.sum()
    reach = len(weights) - 1
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    lines = padded.reshape(n, height + 2 * reach, -1)
    windows = np.lib.stride_tricks.sliding_window_view(lines, (height, width * channels), axis=(1, 2))
    direction = np.stack([np.sin(np.deg2rad(angles)), np.cos(np.deg2rad(angles))])
    total = np.zeros((n, height, width * channels), np.float32)
    for step, weight in enumerate(weights):
        down, right = np.ceil(step * direction - 0.5).astype(int) + reach
        total += np.multiply(windows[np.arange(n), down, right * channels], weight, dtype=np.float32)
    return total.reshape(images.shape)
