"""Parquet in the Hugging Face layout: one file, or a folder of shards named by split."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.datasets.dataset import Dataset, Encoded, Reading, Source, Split
from tenfold.datasets.holdout import hold_out, note
from tenfold.datasets.labelled import SPLIT_WORDS
from tenfold.datasets.labels import check_labels, numbered
from tenfold.datasets.pictures import Shape, choose_shape, gather, sizes_of
from tenfold.datasets.store import Origin
from tenfold.errors import DataError
from tenfold.images import Fit

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "labels", "fine_label")
_SHARD = re.compile(r"-\d+-of-(\d+)\.parquet$")
_ROWS = 1024


@dataclass(frozen=True)
class _Columns:
    """Where pictures and labels are, by name; `label_names` where the file brings them."""

    image: str
    label: str
    structured: bool
    paths: bool
    label_names: tuple[str, ...]


def shards(path: Path) -> dict[Split, list[Path]]:
    """The parquet files of each split at `path`, a file or a folder; empty where there are none."""
    if path.is_file():
        return {"train": [path]}
    files = sorted(path.glob("*.parquet")) or sorted((path / "data").glob("*.parquet"))
    found: dict[Split, list[Path]] = {}
    for file in files:
        words = re.findall("[a-z]+", file.stem.lower())
        split = next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)
        if split is not None:
            found.setdefault(split, []).append(file)
    return found or ({"train": files} if files else {})


def find(
    path: Path,
    image_size: int | None = None,
    fit: Fit = "pad",
    default_names: tuple[str, ...] | None = None,
    *,
    label_columns: tuple[str, ...] = _LABEL_COLUMNS,
    reading: Reading | None = None,
) -> Source:
    """The source at `path`: a file, or a folder with shards in it or in its `data` folder.

    The word train, validation or test in a file's name says its split; where no name says any, all are
    for training. Where none is for testing, a tenth of the training rows is held out.

    Args:
        path: file or folder.
        image_size: side to bring pictures to.
        fit: how.
        default_names: class names where the files bring none; else "0", "1" and so on.
        label_columns: names of the column with labels, the first one that is there.
        reading: as in `datasets.find`.

    Raises:
        DataError: no training file, a file that is not parquet, missing columns, unusable labels.
    """
    files = shards(path)
    if "train" not in files:
        raise DataError(f"{path} has no training rows. Expected files such as train-00000-of-00001.parquet.")
    columns = _columns(files["train"][0], label_columns)
    labels, class_names = _train_labels(files["train"], columns, default_names)
    notes = _missing_shards(files)
    held: dict[Split, np.ndarray] = {}
    if "test" not in files:
        held["train"], held["test"] = hold_out(labels, class_names, str(path))
        notes += (note(held["test"], len(labels)),)

    def place(split: Split) -> tuple[list[Path], np.ndarray | None]:
        return (files[split] if split in files else files["train"]), held.get(split)

    def described(split: Split) -> tuple[np.ndarray, list[str]]:
        own, rows = place(split)
        values = labels if own is files["train"] else _matched_labels(own, columns, class_names)
        names = _ids(own, columns)
        return (values, names) if rows is None else (values[rows], [names[row] for row in rows])

    def encoded(split: Split) -> Iterator[Encoded]:
        own, rows = place(split)
        values, names = described(split)
        for name, label, content in zip(names, values, _Pictures(own, columns, rows), strict=True):
            yield name, int(label), content

    shapes: list[Shape] = []

    def read(split: Split) -> Dataset:
        if not shapes:
            sizes = sizes_of(_Pictures(files["train"], columns, held.get("train")))
            shapes.append(choose_shape(sizes, image_size, fit))
        own, rows = place(split)
        values, names = described(split)
        # Training pictures are read again and again; test pictures have one door, and no copies elsewhere.
        origin = None if split == "test" else Origin(f"{path.resolve()} {split}", own, rows)
        pictures = _Pictures(own, columns, rows)
        return gather(pictures, values, names, class_names, split, shapes[0], origin=origin, reading=reading)

    order: tuple[Split, ...] = ("train", "validation", "test")
    splits = tuple(split for split in order if split in files or split in held)
    return Source("parquet", str(path), class_names, splits, read, notes, encoded, bool(held))


def _tables(files: Sequence[Path], columns: Sequence[str]) -> Iterator[tuple[Path, Any]]:
    """The wanted columns, about a thousand rows at a time.

    Files go through Python's `open`, so that an audit hook sees each one: a test proves by it that
    training never opens the test split.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    for path in files:
        try:
            with open(path, "rb") as file:
                for batch in ParquetFile(file).iter_batches(_ROWS, columns=list(columns)):
                    yield path, batch
        except (OSError, ArrowException) as error:
            raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = str(error).split("\n")[0]
    return DataError(f"{path} cannot be read as parquet: {reason}. Copy or download it again.")


def _columns(path: Path, label_columns: tuple[str, ...]) -> _Columns:
    from pyarrow import ArrowException, types
    from pyarrow.parquet import ParquetFile

    try:
        with open(path, "rb") as file:
            schema = ParquetFile(file).schema_arrow
    except (OSError, ArrowException) as error:
        raise _unreadable(path, error) from None
    image = next((name for name in _IMAGE_COLUMNS if name in schema.names), None)
    label = next((name for name in label_columns if name in schema.names), None)
    if image is None or label is None:
        raise DataError(
            f"{path} lacks a column. Expected pictures in {' or '.join(_IMAGE_COLUMNS)} and labels in "
            f"{' or '.join(label_columns)}; rename the columns. Received: {', '.join(schema.names)}"
        )
    kind = schema.field(image).type
    structured = types.is_struct(kind)
    fields = {field.name for field in kind} if structured else set()
    if "bytes" not in fields and not types.is_binary(kind) and not types.is_large_binary(kind):
        raise DataError(
            f"{path}: column {image} must hold the bytes of picture files. Received: {image} of type {kind}"
        )
    names = _label_names(schema.metadata or {}, label)
    return _Columns(image, label, structured, "path" in fields, names)


def _label_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _train_labels(
    files: Sequence[Path], columns: _Columns, default_names: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    if columns.label_names:
        return _labels(files, columns, len(columns.label_names)), columns.label_names
    labels = _labels(files, columns, None)
    count = int(labels.max()) + 1
    names = default_names if default_names and count <= len(default_names) else numbered(count)
    if len(names) < 2:
        raise DataError(f"{files[0].parent} has one class only. Expected two or more.")
    return labels, names


def _labels(files: Sequence[Path], columns: _Columns, classes: int | None) -> np.ndarray:
    parts = []
    for path, batch in _tables(files, [columns.label]):
        values = batch.column(0)
        where = f"{path}: column {columns.label}"
        if values.null_count:
            raise DataError(f"{where} has {values.null_count} rows without a label. Leave those rows out.")
        parts.append(check_labels(values.to_numpy(zero_copy_only=False), len(values), classes, where))
    if not parts:
        raise DataError(f"{files[0]} has no rows. Expected pictures and labels.")
    return np.concatenate(parts)


def _matched_labels(files: Sequence[Path], columns: _Columns, class_names: tuple[str, ...]) -> np.ndarray:
    """Labels of another split in the order of `class_names`, matched by name where its files have names."""
    names = _columns(files[0], (columns.label,)).label_names or class_names
    strange = [name for name in names if name not in class_names]
    if strange:
        raise DataError(
            f"{files[0]} has classes that the training files lack: {', '.join(strange[:5])}. Expected names "
            f"out of {', '.join(class_names[:10])}."
        )
    order = np.array([class_names.index(name) for name in names])
    return order[_labels(files, columns, len(names))]


def _ids(files: Sequence[Path], columns: _Columns) -> list[str]:
    """File names as the table gives them; shard and row where they are missing or not unique."""
    names: list[str | None] = []
    keys: list[str] = []
    rows = dict.fromkeys(files, 0)
    leaf = f"{columns.image}.path" if columns.paths else columns.label
    for path, batch in _tables(files, [leaf]):
        keys += [f"{path.name}:{rows[path] + row}" for row in range(len(batch))]
        rows[path] += len(batch)
        if columns.paths:
            names += batch.column(0).field("path").to_pylist()
    given = [name for name in names if name]
    return given if len(given) == len(keys) and len(set(given)) == len(given) else keys


@dataclass(frozen=True)
class _Pictures:
    """The encoded pictures in `rows` (ascending; all where None), one after the other, as often as asked."""

    files: Sequence[Path]
    columns: _Columns
    rows: np.ndarray | None

    def __iter__(self) -> Iterator[bytes]:
        image, rows = self.columns.image, self.rows
        start = 0
        for _, batch in _tables(self.files, [f"{image}.bytes" if self.columns.structured else image]):
            values = batch.column(0).field("bytes") if self.columns.structured else batch.column(0)
            if rows is not None:
                inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(batch))]
                values = values.take(inside - start)
            for value in values.to_pylist():
                yield value or b""
            start += len(batch)


def _missing_shards(files: dict[Split, list[Path]]) -> tuple[str, ...]:
    notes = []
    for split, paths in files.items():
        announced = [int(found.group(1)) for path in paths if (found := _SHARD.search(path.name))]
        if announced and max(announced) > len(paths):
            notes.append(
                f"Only {len(paths)} of {max(announced)} {split} files are there; the others were not seen."
            )
    return tuple(notes)
