"""What a run keeps of a model of the user's own, so that it can be built again."""

import hashlib
import json
from pathlib import Path

from tenfold.errors import DataError

CODE, START, NOTES = "model.py", "start.keras", "model.json"
"""Its code, or its first weights, and where it came from."""


def again(folder: Path, name: str) -> str:
    """A setting `model`, led to what the run in `folder` keeps of it; the same where it keeps nothing.

    Args:
        folder: of the run.
        name: as its settings have it.

    Raises:
        DataError: what it keeps was changed since.
    """
    if (folder / CODE).exists():
        _check(folder, CODE)
        return f"{folder / CODE}:{name.partition('.py:')[2] or 'build'}"
    if (folder / START).exists():
        _check(folder, START)
        return str(folder / START)
    return name


def _check(folder: Path, file: str) -> None:
    try:
        expected = json.loads((folder / NOTES).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder / NOTES} cannot be read ({error}). Restore it, or train anew.") from None
    found = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    if found != expected:
        raise DataError(
            f"{folder / file} has been changed since the run began. Expected: SHA-256 {expected[:12]}... "
            f"Received: {found[:12]}... Restore it, or train anew."
        )
