"""Which files the words on a command line stand for: folders, patterns and names."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tenfold import images

# Photographs that no decoder here reads are found too: to be named, not passed over in silence.
_FOREIGN = frozenset({".heic", ".heif", ".hif", ".jxl", ".jp2", ".svg", ".psd", ".eps"})
_FOREIGN |= {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
_WANTED = images.PICTURE_SUFFIXES | _FOREIGN


@dataclass(frozen=True)
class Failure:
    """A path that gave no prediction.

    Attributes:
        path: the file, folder or pattern, as it was given or found.
        reason: a sentence that names the path and says what is wrong with it.
    """

    path: Path
    reason: str


def find(paths: Iterable[str | Path]) -> Iterator[Path | Failure]:
    """Every picture file that the paths stand for, each once, in order.

    Args:
        paths: files (taken whatever their suffix), folders (searched for the suffixes of photographs,
            sorted, hidden names left out) and patterns (expanded as a shell would).
    """
    seen: set[str] = set()
    for item in _expand(paths):
        key = os.path.abspath(item.path if isinstance(item, Failure) else item)
        if key not in seen:
            seen.add(key)
            yield item


def _expand(paths: Iterable[str | Path]) -> Iterator[Path | Failure]:
    for given in paths:
        path = Path(given)
        if path.exists():
            yield from _walk(path)
        elif glob.has_magic(str(given)):
            matches = sorted(glob.glob(str(given), recursive=True))
            if not matches:
                yield Failure(path, f"{path} matches no file. Expected a file, a folder or a pattern.")
            for match in matches:
                yield from _walk(Path(match))
        else:
            yield Failure(path, f"{path} does not exist. Expected a file, a folder or a pattern.")


def _walk(path: Path) -> Iterator[Path | Failure]:
    if not path.is_dir():
        yield path
        return
    empty, refused = True, list[OSError]()
    for folder, inner, names in os.walk(path, onerror=refused.append):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in _WANTED:
                empty = False
                yield Path(folder, name)
    for error in refused:
        hint = "Give yourself the right: chmod u+rx."
        yield Failure(Path(error.filename), f"{error.filename} cannot be listed: {error.strerror}. {hint}")
    if empty and not refused:
        suffixes = " ".join(sorted(images.PICTURE_SUFFIXES))
        yield Failure(path, f"{path} holds no pictures. Expected files that end in one of: {suffixes}")
