"""Keeps a diagnosis: findings.json, the fix list, and a contact sheet to look at, in a folder of its own."""

from pathlib import Path
from typing import Any

import tenfold
from tenfold.datasets import fixes
from tenfold.doctor.diagnosis import SHOWN
from tenfold.doctor.findings import KINDS, Diagnosis, Finding
from tenfold.errors import ResourceError, UsageError
from tenfold.reporting import pictures
from tenfold.runs import Run

FIXES = "fixes.csv"
_FINDINGS, _SHEET = "findings.json", "contact_sheet.html"
_TOGETHER = 6  # pictures of a group that are shown side by side


def write(diagnosis: Diagnosis, folder: str | Path, *, exist_ok: bool = False) -> Path:
    """Writes findings.json, fixes.csv and contact_sheet.html.

    The sheet is one file without scripts or addresses of other hosts: it opens offline and can be mailed.

    Args:
        diagnosis: what `doctor` returned.
        folder: takes the files; where it exists, `folder-2`, `folder-3` and so on.
        exist_ok: write into `folder` itself, over the files of an earlier diagnosis.

    Returns:
        The folder.

    Raises:
        UsageError: `exist_ok`, but the folder holds other things than a diagnosis.
        ResourceError: it cannot be written.
    """
    place = Run(_made(Path(folder), exist_ok))  # its way of writing files whole or not at all
    place.write(_FINDINGS, diagnosis.to_dict())
    place.write(FIXES, fixes.to_csv(diagnosis.fixes))
    place.write(_SHEET, contact_sheet(diagnosis))
    return place.path


def contact_sheet(diagnosis: Diagnosis) -> str:
    """The findings as one HTML page, up to `SHOWN` of a kind with their pictures."""
    import jinja2

    homes = [Path(__file__).parent, Path(pictures.__file__).parent]  # the style is that of the report
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(homes), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    sections = [
        {
            "name": name,
            "kind": kind,
            "count": len(diagnosis.of(name)),
            "shown": [_shown(diagnosis, finding) for finding in diagnosis.of(name)[:SHOWN]],
        }
        for name, kind in KINDS.items()
        if diagnosis.of(name)
    ]
    return environment.get_template("sheet.html").render(
        diagnosis=diagnosis, sections=sections, version=tenfold.__version__
    )


def _shown(diagnosis: Diagnosis, finding: Finding) -> dict[str, Any]:
    known = [item for item in finding.pictures if (item.split, item.id) in diagnosis.thumbnails]
    uris = [pictures.thumbnail(diagnosis.thumbnails[item.split, item.id]) for item in known[:_TOGETHER]]
    return {
        "finding": finding,
        "pictures": list(zip(known, uris, strict=False)),
        "more": max(0, len(finding.pictures) - _TOGETHER) if uris else 0,
    }


def _made(folder: Path, exist_ok: bool) -> Path:
    path, number = folder, 1
    try:
        while not exist_ok and path.exists():
            number += 1
            path = folder.with_name(f"{folder.name}-{number}")
        path.mkdir(parents=True, exist_ok=True)
        strange = {entry.name for entry in path.iterdir()} - {_FINDINGS, FIXES, _SHEET}
    except OSError as error:
        raise ResourceError(
            f"Cannot make the folder {path}: {error.strerror}. Choose another place with --output."
        ) from error
    if strange:
        raise UsageError(
            f"{path} holds other things than a diagnosis, so it is not written to. Choose another --output. "
            f"Received: {min(strange)}"
        )
    return path
