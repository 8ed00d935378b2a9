"""Picture files one by one: unreadable, under a wrong extension, odd, turned, blank, tiny.

All reading is done by `tenfold.images`, so what is found here is what training will meet.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold import images
from tenfold.datasets.fixes import EXCLUDE, RENAME, REVIEW, Fix
from tenfold.doctor.findings import Finding, Picture
from tenfold.errors import DataError

USUAL_MODES = ("RGB", "L", "P", "1")
_BLANK_LEVELS = 8  # of 255, between the darkest and the lightest pixel of every channel


@dataclass(frozen=True)
class Checked:
    """A picture after its check.

    Attributes:
        pixels: uint8 (size, size, 3), squashed to the square; None where it cannot be read.
        digest: of all its decoded pixels: equal exactly for exact duplicates; empty where it cannot be read.
        findings: what is odd about it.
    """

    pixels: np.ndarray | None
    digest: bytes
    findings: tuple[Finding, ...]


def check(picture: Picture, source: Path | bytes, size: int) -> Checked:
    """Decodes one picture and says what is odd about it.

    Args:
        picture: its names, for the findings.
        source: its file, or the bytes of one.
        size: side in pixels of what comes back.
    """
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        header = images.header(content, picture.id)
        whole = images.decode(content, picture.id)
    except (DataError, OSError) as error:
        message = str(error) if isinstance(error, DataError) else f"{picture.id}: {error.strerror}."
        fix = Fix(picture.id, picture.split, REVIEW, "cannot be read; training skips it")
        return Checked(None, b"", (Finding("unreadable", message, (picture,), fixes=(fix,)),))
    found = [*_about_header(picture, header, size, isinstance(source, Path))]
    pixels = images.resize(whole, size, "squash")
    if is_blank(pixels):
        found.append(blank(picture))
    return Checked(pixels, digest(whole), tuple(found))


def digest(pixels: np.ndarray) -> bytes:
    """A hash of a picture's shape and pixels."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16, salt=_salt(pixels)).digest()


def _salt(pixels: np.ndarray) -> bytes:
    return b"%dx%d" % pixels.shape[:2]


def is_blank(pixels: np.ndarray) -> bool:
    """Whether a uint8 (h, w, 3) picture shows next to nothing."""
    return int(np.ptp(pixels.reshape(-1, 3), axis=0).max()) <= _BLANK_LEVELS


def blank(picture: Picture) -> Finding:
    """The finding about a blank picture."""
    fix = Fix(picture.id, picture.split, EXCLUDE, "blank")
    return Finding("blank", f"{picture.id} shows next to nothing.", (picture,), fixes=(fix,))


def _about_header(picture: Picture, header: images.Header, size: int, named: bool) -> list[Finding]:
    found = []
    suffix = os.path.splitext(picture.id)[1].lower()
    # A row key such as part.parquet:7 has no extension that anybody relies on.
    if suffix not in header.suffixes and (named or suffix in images.PICTURE_SUFFIXES):
        said = f"holds {header.format}, which its extension {suffix or '(none)'} does not say"
        fix = Fix(picture.id, picture.split, RENAME, said)
        found.append(_named("wrong-extension", picture, said, {"format": header.format}, fix))
    if min(header.size) * 2 < size:
        width, height = header.size
        said = f"has {width} x {height} pixels only"
        found.append(
            _named(
                "tiny", picture, said, {"size": [width, height]}, Fix(picture.id, picture.split, REVIEW, said)
            )
        )
    if header.turned:
        found.append(_named("turned", picture, "is kept turned or mirrored; its EXIF data say how", {}))
    if header.mode not in USUAL_MODES or header.transparent:
        kept = f"{header.mode}{' with transparent parts' if header.transparent else ''}"
        found.append(_named("odd-mode", picture, f"is kept as {kept}", {"mode": header.mode}))
    return found


def _named(kind: str, picture: Picture, said: str, details: dict[str, object], *fixes: Fix) -> Finding:
    return Finding(kind, f"{picture.id} {said}.", (picture,), details, fixes)


def unseen(folder: Path) -> list[Finding]:
    """Pictures in a folder that no reader takes for one, as they have no picture's extension."""
    found = []
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower()
            if name.startswith(".") or suffix in images.PICTURE_SUFFIXES:
                continue
            path = Path(place, name)
            try:
                header = images.header(path)
            except DataError:
                continue
            picture = Picture("", path.relative_to(folder).as_posix())
            said = f"holds {header.format}, but its extension {suffix or '(none)'} hides it from every reader"
            fix = Fix(picture.id, "", RENAME, said)
            found.append(_named("unseen", picture, said, {"format": header.format}, fix))
    return found
