"""What a frozen network makes of pictures: computed once, kept on the disk, found again by the next run."""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from tenfold import cache

MOST = 4 * 2**30
"""Bytes of features that are kept, of all data and networks; those unused for longest go first."""

_PIXELS = 2**21  # of pictures a pass, as the network sees them: 227 of 96 x 96; VGG16 then takes 1.1 GB
_BATCH = 256


def features(
    body: keras.Model,
    images: np.ndarray,
    fingerprint: str,
    *,
    mirrored: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """The features of all pictures, from the cache where the same network saw the same pictures before.

    They are computed in inference mode and, as the model that is kept in the end, in float32. An entry is
    written whole or not at all. Where the cache cannot be written, nothing is kept and nothing is said.

    Args:
        body: a float32 model from pictures to features (batch, d).
        images: uint8 (n, height, width, 3), in memory or not.
        fingerprint: tells these pictures from all others.
        mirrored: look at each with left and right exchanged.
        tell: told how many of the pictures are done, where there is something to compute.

    Returns:
        float32 (n, d), a memory map where they are in the cache; what is written to it stays in memory.
    """
    shape = (len(images), int(body.output_shape[-1]))
    path = cache.home() / "features" / f"{_key(body, fingerprint + (' mirrored' if mirrored else ''))}.npy"
    if (found := _opened(path, shape)) is not None:
        return found
    try:
        _write(path, shape, _passes(body, images, mirrored, tell))
    except OSError:
        return np.concatenate(list(_passes(body, images, mirrored, tell)))
    _tidy(path)
    return np.load(path, mmap_mode="c")


def _key(body: keras.Model, fingerprint: str) -> str:
    digest = hashlib.sha256(fingerprint.encode())
    digest.update(re.sub(r"_\d+\b", "", body.to_json()).encode())  # names count up within a process
    for value in body.get_weights():
        digest.update(f"{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:32]


def _opened(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    with contextlib.suppress(OSError, ValueError, EOFError):  # none, or damaged
        found = np.load(path, mmap_mode="c", allow_pickle=False)
        if found.shape == shape and found.dtype == np.float32:
            with contextlib.suppress(OSError):
                os.utime(path)  # for `_tidy`
            return found
    return None


def _passes(
    body: keras.Model, images: np.ndarray, mirrored: bool, tell: Callable[[int, int], None]
) -> Iterator[np.ndarray]:
    enlarged = [max(layer.output.shape[1:]) for layer in body.layers if layer.name == "enlarging"]
    side = max(*images.shape[1:3], *enlarged)
    size = max(1, min(_BATCH, _PIXELS // (side * side)))
    for start in range(0, len(images), size):
        batch = np.asarray(images[start : start + size])
        seen = np.ascontiguousarray(batch[:, :, ::-1]) if mirrored else batch
        yield np.asarray(body.predict_on_batch(seen), np.float32)
        tell(start + len(batch), len(images))


def _write(path: Path, shape: tuple[int, int], passes: Iterator[np.ndarray]) -> None:
    """Piece by piece through a plain file: a full disk is an error there, and a crash in a memory map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for piece in passes:
                file.write(np.ascontiguousarray(piece, "<f4").tobytes())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _tidy(kept: Path) -> None:
    with contextlib.suppress(OSError):
        entries = [(each.stat(), each) for each in kept.parent.glob("*.npy") if each != kept]
        room = MOST - kept.stat().st_size
        for facts, entry in sorted(entries, key=lambda pair: pair[0].st_mtime, reverse=True):
            room -= facts.st_size
            if room < 0:
                entry.unlink(missing_ok=True)
