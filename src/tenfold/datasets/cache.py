"""What Tenfold keeps outside the run folders: downloads, and the decoded pictures of large parquet sets."""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tenfold.datasets.dataset import Dataset

WORTH = 10_000  # pictures from which decoding takes longer than a second


def home() -> Path:
    """Where downloads and decoded pictures are kept: $XDG_CACHE_HOME/tenfold, by default ~/.cache/tenfold."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tenfold"


def decoded(files: Sequence[Path], facts: tuple[object, ...], read: Callable[[], Dataset]) -> Dataset:
    """What `read` returns, from the cache where the same files were decoded in the same way before.

    Decoding CIFAR-10's 50,000 PNGs takes about four seconds, reading their 154 MB of pixels a tenth of one.
    An entry counts only while path, size and time of change of all files are what they were; a newer one
    takes its place. Where the cache cannot be written, nothing is kept and nothing is said.

    Args:
        files: that `read` decodes.
        facts: all else that the result depends on, such as size and fit; told apart by their `repr`.
        read: decodes.
    """
    places = [str(path.resolve()) for path in files]
    stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    folder = home() / "decoded" / _digest(places)
    path = folder / f"{_digest((stamps, facts))}.npz"
    with contextlib.suppress(OSError, KeyError, ValueError, zipfile.BadZipFile):
        return _load(path)
    dataset = read()
    if len(dataset) >= WORTH:
        with contextlib.suppress(OSError):
            _save(dataset, path)
    return dataset


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _load(path: Path) -> Dataset:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
        class_names, ids, notes = (tuple(kept[name].tolist()) for name in ("class_names", "ids", "notes"))
        return Dataset(kept["images"], kept["labels"], class_names, ids, notes)


def _save(dataset: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            np.savez(
                file,
                images=dataset.images,
                labels=dataset.labels,
                class_names=np.array(dataset.class_names, str),
                ids=np.array(dataset.ids, str),
                notes=np.array(dataset.notes, str),
            )
        os.replace(temporary, path)
        for other in path.parent.glob("*.npz"):
            if other != path:
                other.unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
