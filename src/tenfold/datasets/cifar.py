"""CIFAR-10 and CIFAR-100 as published: the Python and the binary version, an archive or its folder.

The Python version is made of pickles, and a pickle may run any program when it is read. The reader here
knows the few things that those files hold (numbers, names, one kind of array) and refuses all others.
"""

import dataclasses
import io
import pickle
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.datasets.dataset import Dataset, Source, Split
from tenfold.datasets.labels import check_labels
from tenfold.datasets.pictures import Shape, choose_shape, resize_all
from tenfold.errors import DataError
from tenfold.images import Fit

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Version:
    """How one published version lays out its files."""

    kind: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_key: bytes = b""
    names_key: bytes = b""
    label_bytes: int = 0
    label_at: int = 0

    def members(self, split: Split) -> tuple[str, ...]:
        return self.train if split == "train" else self.test


VERSIONS = (
    Version(
        kind="cifar10-python",
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test=("test_batch",),
        names="batches.meta",
        label_key=b"labels",
        names_key=b"label_names",
    ),
    Version(
        kind="cifar10-binary",
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        test=("test_batch.bin",),
        names="batches.meta.txt",
        label_bytes=1,
    ),
    Version(
        kind="cifar100-python",
        folder="cifar-100-python",
        train=("train",),
        test=("test",),
        names="meta",
        label_key=b"fine_labels",
        names_key=b"fine_label_names",
    ),
    Version(
        kind="cifar100-binary",
        folder="cifar-100-binary",
        train=("train.bin",),
        test=("test.bin",),
        names="fine_label_names.txt",
        label_bytes=2,
        label_at=1,
    ),
)


def home(folder: Path, kind: str = "") -> tuple[Path, Version] | None:
    """Where a version whose kind begins so lies: in `folder` or in its folder of the published name."""
    for version in VERSIONS:
        for place in (folder, folder / version.folder):
            files = (version.names, version.train[0])
            if version.kind.startswith(kind) and all((place / name).is_file() for name in files):
                return place, version
    return None


def find(path: Path, image_size: int | None = None, fit: Fit = "pad", *, coarse: bool = False) -> Source:
    """The source at `path`: a published archive, or the folder that it unpacks to.

    Args:
        path: archive or folder.
        image_size: as in `datasets.find`; so is `fit`.
        coarse: label CIFAR-100 by its 20 groups in place of its 100 classes.

    Raises:
        DataError: no CIFAR files there, some of them missing, or damaged.
    """
    if path.is_dir():
        found = home(path)
        if found is None:
            raise DataError(f"{path} holds no CIFAR files. Expected {VERSIONS[0].names} and data_batch_1.")
        path, version = found
        present = {entry.name for entry in path.iterdir()}
    else:
        present = {name for name, _ in _archive(path)}
        version = _version_of(path, present)
    if coarse:
        version = _grouped(version)
    missing = [name for name in version.train if name not in present]
    if missing:
        raise DataError(
            f"{path} is incomplete: {', '.join(missing)} missing. Expected {', '.join(version.train)}; "
            "unpack or download it again."
        )
    class_names = _class_names(path, version)
    shape = choose_shape([(32, 32)], image_size, fit)
    splits: tuple[Split, ...] = ("train", "test")
    notes: tuple[str, ...] = ()
    if version.test[0] not in present:
        splits, notes = ("train",), (f"No test split: {version.test[0]} is missing from {path}.",)

    def read(split: Split) -> Dataset:
        return _read(path, version, split, class_names, shape)

    return Source(version.kind, str(path), class_names, splits, read, notes)


def _grouped(version: Version) -> Version:
    """The same files of CIFAR-100, read for the groups of its classes."""
    return dataclasses.replace(
        version,
        kind=version.kind.replace("cifar100", "cifar100-coarse"),
        names=version.names.replace("fine", "coarse"),
        label_key=version.label_key.replace(b"fine", b"coarse"),
        names_key=version.names_key.replace(b"fine", b"coarse"),
        label_at=0,
    )


def _version_of(path: Path, present: set[str]) -> Version:
    for version in VERSIONS:
        if version.names in present:
            return version
    seen = ", ".join(sorted(present)[:4]) or "nothing"
    raise DataError(
        f"{path} is an archive, but none of CIFAR's. Expected batches.meta and data_batch_1 in it; unpack it "
        f"and give the folder instead. Received: {seen}"
    )


def _read(path: Path, version: Version, split: Split, class_names: tuple[str, ...], shape: Shape) -> Dataset:
    files = dict(_contents(path, version.members(split)))
    parts = []
    for name in version.members(split):
        if name not in files:
            raise DataError(f"{path}: {name} is missing. Unpack or download it again.")
        where = f"{path}: {name}"
        take = _from_records if version.label_bytes else _from_pickle
        pixels, labels, ids = take(files.pop(name), version, where)
        ids = ids or [f"{name}:{row}" for row in range(len(pixels))]
        parts.append((pixels, check_labels(labels, len(pixels), len(class_names), where), ids))

    images = np.empty((sum(len(pixels) for pixels, _, _ in parts), 32, 32, 3), np.uint8)
    np.concatenate(
        [pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) for pixels, _, _ in parts], out=images
    )
    ids = [name for _, _, names in parts for name in names]
    if len(set(ids)) < len(ids):
        ids = [f"{split}:{row}" for row in range(len(ids))]
    labels = np.concatenate([labels for _, labels, _ in parts])
    return Dataset(resize_all(images, shape), labels, class_names, tuple(ids), shape.notes)


def _class_names(path: Path, version: Version) -> tuple[str, ...]:
    for _, content in _contents(path, (version.names,)):
        if version.label_bytes:
            return tuple(content.decode("utf-8", "replace").split())
        meta = _unpickle(content, f"{path}: {version.names}")
        if version.names_key in meta:
            return tuple(_text(name) for name in meta[version.names_key])
    raise DataError(f"{path}: {version.names} holds no class names. Unpack or download it again.")


def _from_pickle(content: bytes, version: Version, where: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    batch = _unpickle(content, where)
    pixels = batch.get(b"data")
    pixels = pixels.value if isinstance(pixels, _Array) else None
    if pixels is None or pixels.ndim != 2 or pixels.shape[1] != _PIXELS or version.label_key not in batch:
        raise DataError(
            f"{where} holds no CIFAR batch. Expected data of shape (n, {_PIXELS}) and "
            f"{version.label_key.decode()}; download it again."
        )
    labels = np.asarray(batch[version.label_key])
    names = [_text(name) for name in batch.get(b"filenames", ())]
    return pixels, labels, names if len(names) == len(pixels) else []


def _from_records(content: bytes, version: Version, where: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    record = version.label_bytes + _PIXELS
    if not content or len(content) % record:
        raise DataError(
            f"{where} is damaged. Expected whole records of {record} bytes; unpack or download it again. "
            f"Received: {len(content):,} bytes"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, record)
    return rows[:, version.label_bytes :], rows[:, version.label_at], []


def _contents(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Name and content of the wanted files; no other file of a folder is opened."""
    if not path.is_dir():
        yield from ((name, content) for name, content in _archive(path, wanted) if name in wanted)
        return
    for name in wanted:
        try:
            with open(path / name, "rb") as file:
                yield name, file.read()
        except OSError as error:
            raise DataError(f"{path / name} cannot be read: {error.strerror}.") from None


def _archive(path: Path, wanted: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes]]:
    """Last part of the name of every file in an archive, and the content of the wanted ones.

    Nothing is unpacked to the disk, so it does not matter where an archive's paths point. Ends early
    when the wanted ones have been found.
    """
    remaining = set(wanted)
    try:
        with open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                stream = archive.extractfile(member) if member.isfile() and name in remaining else None
                yield name, stream.read() if stream else b""
                remaining.discard(name)
                if wanted and not remaining:
                    return
    except DataError:
        raise
    except PermissionError:
        raise DataError(f"{path} may not be read. Give yourself the right: chmod u+r.") from None
    except Exception as error:  # Beside TarError and EOFError, each compression brings a kind of its own.
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged or incomplete: {error}. Remove it and download it again.")


def _unpickle(content: bytes, where: str) -> dict[bytes, Any]:
    try:
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{where} {error}") from None
    except Exception as error:  # Damaged pickles raise nearly anything.
        raise DataError(f"{where} is damaged: {error}. Unpack or download it again.") from None
    if not isinstance(value, dict):
        raise DataError(f"{where} holds no CIFAR batch. Expected a dict; received: {type(value).__name__}")
    return {key if isinstance(key, bytes) else str(key).encode(): item for key, item in value.items()}


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


class _Array:
    """Stands in for NumPy's array while unpickling, so that not even NumPy's own code runs."""

    value: np.ndarray | None = None

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        if dtype.name not in (b"u1", "u1") or not isinstance(content, bytes):
            raise DataError("holds an array of another type than bytes (uint8).")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Type:
    """Stands in for NumPy's dtype while unpickling."""

    def __init__(self, name: str | bytes = "", *_: Any):
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Reads numbers, texts, lists, dicts and arrays of bytes; refuses to import anything else."""

    _KNOWN = {  # noqa: RUF012 - a constant
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
        # Bytes as Python 3 writes them in the old protocol: text and its encoding.
        ("_codecs", "encode"): lambda text, _encoding: text.encode("latin-1"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise DataError(
                f"asks to run {module}.{name}, which no CIFAR file does. Expected numbers and arrays only; "
                "nothing was run. Remove the file and download it again."
            )
        return self._KNOWN[module, name]
