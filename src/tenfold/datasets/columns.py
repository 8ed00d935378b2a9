"""Text with cells: how they are separated, and which column holds paths, labels and splits."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.datasets.labelled import SPLIT_WORDS
from tenfold.errors import DataError
from tenfold.images import PICTURE_SUFFIXES

EXPECTED = "Expected a line `path,label` and then one line a picture, such as `cats/1.jpg,cat`"

# In the order in which they are preferred, without spaces, dashes, underlines and capitals.
_PATHS = (
    *("path", "filepath", "imagepath", "file", "filename", "imagefile", "image", "img", "imagename"),
    *("picture", "photo", "imageid", "id", "name"),
)
_LABELS = ("label", "labels", "class", "classname", "target", "category", "y")
_SPLITS = ("split", "set", "subset", "partition")
_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Columns:
    """Where things stand in a row.

    Attributes:
        path: the column of the pictures' files.
        label: the column of their labels.
        split: the column that says train, validation or test; None where there is none.
        header: whether the first row names the columns.
    """

    path: int
    label: int
    split: int | None
    header: bool


def is_table(head: bytes) -> bool:
    """Whether a file that begins so is text whose first line has two cells or more."""
    content = text(head, cut=True)
    return content is not None and len(_first(content, _separator(content))) > 1


def text(content: bytes, *, cut: bool = False) -> str | None:
    """The text, without the mark that spreadsheets put in front; None of what is binary or not in Unicode.

    Args:
        content: of a file.
        cut: whether it may end within a letter.
    """
    kind = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        found = content.decode(kind)
    except UnicodeDecodeError as error:
        if not cut or error.start < len(content) - 4:
            return None
        found = content[: error.start].decode(kind)
    return None if re.search(r"[\0-\x08\x0e-\x1f]", found) else found


def rows(path: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that is not empty, with the number of its last line.

    Raises:
        DataError: quotes that do not end, or a cell of more than 131,072 letters.
    """
    lines = io.StringIO(content, newline="")
    reader = csv.reader(lines, delimiter=_separator(content), skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} cannot be read: {error}. {EXPECTED}.") from None


def columns(path: Path, first: Sequence[str], second: Sequence[str] = ()) -> Columns:
    """Which columns are which, by their names or, without names, by what is in them.

    Args:
        path: of the list, for messages.
        first: its first row.
        second: its second row.

    Raises:
        DataError: they cannot be told.
    """
    if _picture(first) is not None:
        return _unnamed(path, first)
    names = [_plain(cell) for cell in first]

    def named(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    place, label, split = named(_PATHS), named(_LABELS), named(_SPLITS)
    if place is None:
        place = _picture(second)
    others = [column for column in range(len(first)) if column not in (place, split)]
    if label is None and len(others) == 1:  # one column is left, whatever its name
        label = others[0]
    if place is None or label is None or place == label:
        missing = "paths" if place is None else "labels"
        raise DataError(
            f"{path} has no column with {missing}. {EXPECTED}; rename the columns to path and label. "
            f"Received: {', '.join(first)[:200]}"
        )
    return Columns(place, label, split, header=True)


def _unnamed(path: Path, first: Sequence[str]) -> Columns:
    place = _picture(first)
    rest = [column for column in range(len(first)) if column != place]
    split = next((c for c in rest if len(rest) == 2 and first[c].lower() in SPLIT_WORDS), None)
    labels = [column for column in rest if column != split]
    if place is None or len(labels) != 1:
        raise DataError(
            f"{path} has no header and {len(first)} columns: which of them holds the label cannot be told. "
            f"{EXPECTED}. Received: {', '.join(first)[:200]}"
        )
    return Columns(place, labels[0], split, header=False)


def _picture(cells: Sequence[str]) -> int | None:
    """The first cell that names a picture file."""
    endings = [Path(cell.replace("\\", "/")).suffix.lower() for cell in cells]
    return next((column for column, ending in enumerate(endings) if ending in PICTURE_SUFFIXES), None)


def _separator(content: str) -> str:
    """The one that gives the first line the most known columns, then the most cells."""

    def found(separator: str) -> tuple[int, int]:
        names = [_plain(cell) for cell in _first(content, separator)]
        return sum(name in (*_PATHS, *_LABELS, *_SPLITS) for name in names), len(names)

    return max(_SEPARATORS, key=found)


def _first(content: str, separator: str) -> list[str]:
    lines = [line for line in content.splitlines() if line.strip()][:1]
    return next(csv.reader(lines, delimiter=separator, skipinitialspace=True), [])


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
