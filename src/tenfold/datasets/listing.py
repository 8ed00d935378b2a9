"""A list of picture files with a label each: CSV, or text with tabs, semicolons or bars for commas."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.datasets import columns, labelled
from tenfold.datasets.columns import EXPECTED, Columns
from tenfold.datasets.dataset import Reading, Source, Split
from tenfold.datasets.labelled import SPLIT_WORDS, Files
from tenfold.errors import DataError
from tenfold.images import PICTURE_SUFFIXES, Fit

_ADDED = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")  # to names without an ending
_NAMED = 3


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: Split


def find(
    path: Path,
    image_size: int | None = None,
    fit: Fit = "pad",
    strict: bool = True,
    reading: Reading | None = None,
) -> Source:
    """The source that the list at `path` describes.

    Columns are known by their usual names, or in a list without a header by what is in them. Paths count
    from the folder of the list. An optional column says which split a picture is for; where no row is for
    testing, a tenth is held out by path. Labels are names or whole numbers. Files that are not there and rows
    without a label are left out with a note.

    Args:
        path: the list.
        image_size: as in `datasets.find`; so are `fit`, `strict` and `reading`.

    Raises:
        DataError: no such list, rows that do not fit it, no file of it there, fewer than two classes, or a
            picture that is listed twice with different labels or splits.
    """
    try:
        content = columns.text(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    if content is None:
        raise DataError(f"{path} is no text in UTF-8. {EXPECTED}; save it as `CSV UTF-8`.")
    lines = list(columns.rows(path, content))
    if not lines:
        raise DataError(f"{path} is empty. {EXPECTED}.")
    known = columns.columns(path, lines[0][1], lines[1][1] if len(lines) > 1 else ())
    rows, notes = _rows(path, lines, known)
    rows, more = _present(path, rows)
    rows, doubled = _once(path, rows)
    names, strange = _class_names(path, rows, strict)
    number = {name: label for label, name in enumerate(names + strange)}
    splits: dict[Split, Files] = {}
    for split in dict.fromkeys(row.split for row in rows):
        # By path, so that the pictures that are held out do not depend on the order of the lines.
        own = sorted((row for row in rows if row.split == split), key=lambda row: row.path)
        labels = np.array([number[row.label] for row in own], np.int64)
        splits[split] = Files(tuple(row.path for row in own), labels)
    return labelled.source(
        "list",
        path,
        path.parent,
        splits,
        names + strange,
        (*notes, *more, *doubled),
        image_size=image_size,
        fit=fit,
        reading=reading,
    )


def _rows(
    path: Path, lines: Sequence[tuple[int, list[str]]], known: Columns
) -> tuple[list[_Row], tuple[str, ...]]:
    width, unlabelled, rows = len(lines[0][1]), 0, []
    for line, cells in lines[known.header :]:
        if any(cells[width:]):
            raise DataError(
                f"{path}, line {line}: expected {width} cells as in the first line; put a name with the "
                f"separator in it in double quotes. Received: {len(cells)} cells: {', '.join(cells)[:80]}"
            )
        cells += [""] * (width - len(cells))
        split = "train" if known.split is None else cells[known.split].lower()
        if split not in SPLIT_WORDS:
            raise DataError(
                f"{path}, line {line}: a split is train, validation or test. Received: split={split!r}"
            )
        if not (cells[known.label] and cells[known.path]):
            unlabelled += 1
            continue
        rows.append(_Row(line, cells[known.path], cells[known.label], SPLIT_WORDS[split]))
    if not any(row.split == "train" for row in rows):
        raise DataError(f"{path} has no training pictures with a label. {EXPECTED}.")
    remote = next((row for row in rows if re.match(r"\w+://", row.path)), None)
    if remote is not None:
        raise DataError(
            f"{path}, line {remote.line}: expected a file, as nothing is downloaded from a list; save the "
            f"pictures first. Received: {remote.path}"
        )
    return rows, (
        f"Left out {unlabelled:,} rows of {path.name} without a label or a path.",
    ) if unlabelled else ()


def _present(path: Path, rows: list[_Row]) -> tuple[list[_Row], tuple[str, ...]]:
    """The rows whose file is there, by the name that it has there, and a note on the others."""
    found, missing = [], []
    for row in rows:
        name = _named(path.parent, row.path)
        if name is None:
            missing.append(row.path)
        else:
            found.append(_Row(row.line, name, row.label, row.split))
    if not found or not any(row.split == "train" for row in found):
        raise DataError(
            f"{path}: none of its {len(rows):,} files is there. Expected paths that count from "
            f"{path.absolute().parent}; move the list or change the paths. Received: {rows[0].path}"
        )
    if not missing:
        return found, ()
    more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
    named = ", ".join(missing[:_NAMED]) + more
    return found, (f"Left out {len(missing):,} files of {path.name} that do not exist: {named}.",)


def _named(folder: Path, name: str) -> str | None:
    """What the file is called below `folder`: as listed, with slashes for backslashes, or with an ending."""
    choices = [name, name.replace("\\", "/")]
    if Path(name).suffix.lower() not in PICTURE_SUFFIXES:
        choices += [choices[1] + ending for ending in _ADDED]
    return next((choice for choice in dict.fromkeys(choices) if choice and (folder / choice).is_file()), None)


def _once(path: Path, rows: list[_Row]) -> tuple[list[_Row], tuple[str, ...]]:
    """Each file once; DataError where its rows contradict each other."""
    kept: dict[str, _Row] = {}
    for row in rows:
        first = kept.setdefault(row.path, row)
        for what in ("label", "split"):
            if getattr(first, what) != getattr(row, what):
                raise DataError(
                    f"{path}, lines {first.line} and {row.line}: {row.path} has two {what}s. Expected one a "
                    f"picture. Received: {getattr(first, what)} and {getattr(row, what)}"
                )
    gone = len(rows) - len(kept)
    return list(kept.values()), (
        f"Left out {gone:,} rows of {path.name} that repeat others.",
    ) if gone else ()


def _class_names(path: Path, rows: Sequence[_Row], strict: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of the training rows, and those that other splits alone have."""
    counts = Counter(row.label for row in rows if row.split == "train")
    if len(counts) < 2:
        raise DataError(f"{path} has one class only: {next(iter(counts))}. Expected two or more.")
    if strict and len(counts) > 2 and len(counts) == counts.total():
        raise DataError(
            f"{path} gives every picture a label of its own. {EXPECTED}; name the right column label. "
            f"Received: {', '.join(list(counts)[:3])}"
        )
    strange = {row.label for row in rows} - counts.keys()
    if strange and strict:
        raise DataError(
            f"{path}: validation or test has classes that train lacks: {', '.join(sorted(strange)[:5])}. "
            f"Expected labels out of {', '.join(_ordered(counts)[:10])}."
        )
    return _ordered(counts), _ordered(strange)


def _ordered(labels: Counter[str] | set[str]) -> tuple[str, ...]:
    """By number where all are whole numbers, else by name."""
    whole = all(re.fullmatch(r"-?\d+", label) for label in labels)
    return tuple(sorted(labels, key=lambda label: (int(label), label) if whole else (0, label)))
