"""The fix list: a plain table that says what to do with single pictures, which `train --exclude` honours.

`tenfold doctor` writes it and people edit it. Only rows whose action is `exclude` take pictures away, and
only from training and validation: a test set that shrank with every list could not be compared with itself.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from tenfold.datasets.dataset import Dataset, Split
from tenfold.errors import DataError, unknown

EXCLUDE, REVIEW, RENAME = "exclude", "review", "rename"
_ACTIONS = (EXCLUDE, REVIEW, RENAME)


@dataclass(frozen=True)
class Fix:
    """One row of a fix list.

    Attributes:
        id: the picture: its path below the data, or its row key.
        split: "train", "validation" or "test".
        action: "exclude" leaves it out of training; "review" and "rename" are for people and change nothing.
        reason: a sentence.
    """

    id: str
    split: str
    action: str
    reason: str


_COLUMNS = tuple(column.name for column in fields(Fix))


def to_csv(fixes: Iterable[Fix]) -> str:
    """The fix list as text, a picture and action once, in the order given."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows(astuple(fix) for fix in {(fix.id, fix.split, fix.action): fix for fix in fixes}.values())
    return text.getvalue()


def read(path: str | Path) -> tuple[Fix, ...]:
    """The rows of a fix list.

    Raises:
        DataError: missing, without its columns, or with an action that does not exist.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")  # spreadsheets put a mark in front
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text in UTF-8"
        raise DataError(
            f"{path} cannot be read: {reason}. Expected the fixes.csv of tenfold doctor."
        ) from None
    rows = csv.DictReader(io.StringIO(text))
    missing = [name for name in ("id", "split", "action") if name not in (rows.fieldnames or ())]
    if missing:
        raise DataError(
            f"{path} is no fix list. Expected the columns {', '.join(_COLUMNS)}. "
            f"Received: {', '.join(rows.fieldnames or ()) or 'an empty file'}"
        )
    found = tuple(Fix(*(row.get(column) or "" for column in _COLUMNS)) for row in rows)
    strange = next((fix.action for fix in found if fix.action not in _ACTIONS), None)
    if strange is not None:
        raise DataError(f"{path}: {unknown('action', strange, _ACTIONS)}")
    return found


def excluded(fixes: Iterable[Fix]) -> dict[str, tuple[str, ...]]:
    """The ids to leave out of training and of validation."""
    taken: dict[str, list[str]] = {"train": [], "validation": []}
    for fix in fixes:
        if fix.action == EXCLUDE and fix.split in taken:
            taken[fix.split].append(fix.id)
    return {split: tuple(dict.fromkeys(ids)) for split, ids in taken.items()}


def leave_out(dataset: Dataset, split: Split, excluded: Mapping[str, Iterable[str]]) -> Dataset:
    """`dataset` without the pictures that `excluded` names for `split`; itself where it names none of them.

    Raises:
        DataError: not one picture is left.
    """
    names = set(excluded.get(split, ()))
    kept = np.flatnonzero([name not in names for name in dataset.ids])
    if len(kept) == len(dataset):
        return dataset
    if not len(kept):
        raise DataError(
            f"The fix list excludes all {len(dataset):,} {split} pictures. Expected some to be left."
        )
    return dataset.subset(kept)
