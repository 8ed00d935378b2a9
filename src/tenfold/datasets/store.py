"""Decoded pictures on the disk: made once, found again by the next start, whole whatever kills the making.

Each set of them has a folder in the cache. `pixels` holds them as they are in memory; `journal` names the
pieces that are finished, with a checksum each, while they are made; `whole.json` takes its place at the end.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tenfold import cache, machine
from tenfold.datasets.rows import Rows, as_images
from tenfold.errors import ResourceError

WORTH, HEAVY = 10_000, 2**26
"""Pictures, or bytes of their files, from which decoding takes longer than a second: they are kept."""

SHARE = 4
"""Decoded pictures stay on the disk where they would take more than this part of the free memory: cutting
validation pictures off copies them once, and the training needs room too."""

PIECE = 64
"""Pictures that are decoded as one task, at most."""

_PIECE_BYTES = 2**22  # of pixels, so that the pieces that are being made stay below a hundred megabytes


@dataclass(frozen=True)
class Origin:
    """What pictures are decoded from. They are found again while paths, sizes and times are the same.

    Attributes:
        place: the source and the split, in words; of one place, what older files held is removed.
        files: all that are read.
        rows: which pictures in them, int; None for all.
    """

    place: str
    files: Sequence[Path]
    rows: np.ndarray | None = None


@dataclass(frozen=True)
class Piece:
    """Some pictures in a row, decoded.

    Attributes:
        start: the first one's place among all.
        pixels: uint8 (m, size, size, 3); black where one cannot be read.
        problems: why not, by its place among all.
    """

    start: int
    pixels: np.ndarray
    problems: dict[int, str]


Make = Callable[[Collection[int]], Iterable[Piece]]
"""Yields all pieces of `piece_size` pictures, but for those that start at the places given, in order."""


def piece_size(side: int) -> int:
    """Pictures of a piece, for a side in pixels: 64, or fewer of large ones."""
    return max(1, min(PIECE, _PIECE_BYTES // (3 * side * side)))


def collect(
    count: int, side: int, make: Make, origin: Origin | None = None, facts: object = ()
) -> tuple[np.ndarray, dict[int, str]]:
    """All pictures in memory or, where that is too much, as `Rows` on the disk; and what could not be read.

    Args:
        count: how many there are.
        side: in pixels.
        make: decodes them.
        origin: what from. Without one nothing is kept for the next start: what has to be on the disk has no
            name there and goes with the process, so that test pictures leave no copy.
        facts: all else that the pixels depend on, told apart by its `repr`.

    Raises:
        ResourceError: memory and disk are both too small.
    """
    size = count * 3 * side * side
    large = size > machine.free_memory() / SHARE
    try:
        if origin is None and large:
            return _nameless(count, side, make)
        if origin is not None:
            stamps = _stamps(origin.files)
            if large or count >= WORTH or sum(size for size, *_ in stamps) >= HEAVY:
                return _kept(_folder(origin, stamps, (facts, count, side)), count, side, make, large)
    except OSError as error:
        if large:
            raise ResourceError(
                f"{count:,} decoded pictures take {size / 1e9:.1f} GB, too much for the free memory, and "
                f"{cache.home()} cannot hold them: {error.strerror}. Make room, set TENFOLD_CACHE to a folder"
                " on a larger disk, or choose a smaller --image-size."
            ) from None
    return _in_memory(count, side, make)


def note(images: np.ndarray) -> tuple[str, ...]:
    """What the user is told about pictures on the disk; nothing where they are in memory."""
    if not isinstance(images, Rows):
        return ()
    size = sum(part.nbytes for part in images.parts) / 1e9
    return (
        f"The decoded pictures take {size:.1f} GB, more than a quarter of the free memory: they stay on the "
        "disk and are read as they are needed.",
    )


def _in_memory(count: int, side: int, make: Make) -> tuple[np.ndarray, dict[int, str]]:
    images = np.empty((count, side, side, 3), np.uint8)
    problems: dict[int, str] = {}
    for piece in make(()):
        images[piece.start : piece.start + len(piece.pixels)] = piece.pixels
        problems |= piece.problems
    return images, problems


def _nameless(count: int, side: int, make: Make) -> tuple[np.ndarray, dict[int, str]]:
    problems: dict[int, str] = {}
    cache.home().mkdir(parents=True, exist_ok=True)
    _reserve(cache.home(), count * 3 * side * side)
    with tempfile.TemporaryFile(dir=cache.home()) as file:
        for piece in make(()):
            _put(file, piece)
            problems |= piece.problems
        return _mapped(file, count, side), problems  # the map outlives the file


def _kept(folder: Path, count: int, side: int, make: Make, large: bool) -> tuple[np.ndarray, dict[int, str]]:
    folder.mkdir(parents=True, exist_ok=True)
    with cache.alone(folder):
        problems = _whole(folder, count * 3 * side * side)
        if problems is None:
            problems = _make(folder, count, side, make)
    if large:
        return _mapped(folder / "pixels", count, side), problems
    return np.fromfile(folder / "pixels", np.uint8).reshape(count, side, side, 3), problems


def _mapped(file: Any, count: int, side: int) -> np.ndarray:
    return as_images(Rows([np.memmap(file, np.uint8, "r", shape=(count, side, side, 3))]))


def _make(folder: Path, count: int, side: int, make: Make) -> dict[int, str]:
    """Fills the folder from where it stands; the problems of all pieces."""
    pixels = folder / "pixels"
    there = pixels.stat().st_size if pixels.exists() else 0
    (folder / "whole.json").unlink(missing_ok=True)
    _reserve(folder, count * 3 * side * side - there)
    finished = _finished(folder, side)
    problems = {row: why for found in finished.values() for row, why in found.items()}
    with open(pixels, "r+b" if there else "wb") as file, open(folder / "journal", "a") as journal:
        journal.write("\n")  # ends a line that a kill cut short
        for piece in make(finished.keys()):
            _put(file, piece)
            file.flush()  # a piece is in the journal only once it is in the file
            entry = {"start": piece.start, "count": len(piece.pixels), "problems": piece.problems}
            journal.write(json.dumps({**entry, "checksum": zlib.crc32(piece.pixels.data)}) + "\n")
            journal.flush()
            problems |= piece.problems
        file.truncate(count * 3 * side * side)
        file.flush()
        os.fsync(file.fileno())
    temporary = folder / f".{os.getpid()}-whole.json"
    temporary.write_text(json.dumps(problems), encoding="utf-8")
    os.replace(temporary, folder / "whole.json")
    (folder / "journal").unlink()
    for other in folder.parent.iterdir():
        if other.name.partition("-")[0] != folder.name.partition("-")[0]:
            shutil.rmtree(other, ignore_errors=True)
    return problems


def _whole(folder: Path, size: int) -> dict[int, str] | None:
    """The problems of a finished folder; None of one that is not, or was damaged since."""
    try:
        found = json.loads((folder / "whole.json").read_text(encoding="utf-8"))
        right = (folder / "pixels").stat().st_size == size
    except (OSError, ValueError):
        return None
    return {int(row): why for row, why in found.items()} if right else None


def _finished(folder: Path, side: int) -> dict[int, dict[int, str]]:
    """The problems of each piece that an earlier process finished, by where it starts."""
    found: dict[int, dict[int, str]] = {}
    picture = 3 * side * side
    with (
        contextlib.suppress(FileNotFoundError),
        open(folder / "journal", encoding="utf-8") as journal,
        open(folder / "pixels", "rb") as file,
    ):
        for line in journal:
            try:
                entry = json.loads(line)
            except ValueError:  # cut short by a kill
                continue
            file.seek(entry["start"] * picture)
            # The checksum tells pixels that the system had not written yet when the power failed.
            if zlib.crc32(file.read(entry["count"] * picture)) == entry["checksum"]:
                found[entry["start"]] = {int(row): why for row, why in entry["problems"].items()}
    return found


def _put(file: IO[bytes], piece: Piece) -> None:
    file.seek(piece.start * piece.pixels[0].nbytes)
    file.write(piece.pixels.data)


def _reserve(folder: Path, size: int) -> None:
    """OSError where the disk has no room for `size` more bytes: better said now than after an hour."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _stamps(files: Sequence[Path]) -> list[tuple[int, int, int]]:
    """Size and times of each file; a right that was given changes the second time only."""
    found = []
    for path in files:
        try:
            stat = path.stat()
            found.append((stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
        except OSError:  # reading it will say why
            found.append((0, 0, 0))
    return found


def _folder(origin: Origin, stamps: Iterable[tuple[int, ...]], facts: object) -> Path:
    content = hashlib.sha256()
    for path, stamp in zip(origin.files, stamps, strict=True):
        content.update(f"{os.path.abspath(path)}\0{stamp}\0".encode())
    rows = b"" if origin.rows is None else origin.rows.tobytes()
    name = f"{content.hexdigest()[:16]}-{_digest(repr(facts).encode() + rows)}"
    return cache.home() / "decoded" / _digest(origin.place.encode()) / name


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
