"""One file from the first mirror that has it: resumed where it broke off, kept only if its hash is right."""

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from tenfold.cache import alone
from tenfold.errors import DataError, ResourceError

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all (0 where unknown)."""

_CHUNK = 1 << 18
_ATTEMPTS = 3


class _BrokenError(Exception):
    """The mirror is out of reach, or the connection ended before the file did. Never a fault of the disk."""


def fetch(
    urls: Sequence[str],
    path: Path,
    sha256: str,
    progress: Progress | None = None,
    *,
    timeout: float = 30.0,
) -> Path:
    """Downloads to `path`, unless it is there already.

    Bytes go to `path` + ".part" first, which the next call continues from, whichever mirror serves it;
    only a file with the right hash takes the name `path`. Certificates are always checked.

    Args:
        urls: mirrors of the same file, tried in order.
        path: where the file shall be; missing folders are made.
        sha256: its hash in hexadecimal.
        progress: told after each piece.
        timeout: seconds without a single byte after which a mirror is given up.

    Returns:
        `path`.

    Raises:
        DataError: no mirror gave the right file; each one's reason is named.
        ResourceError: the folder cannot be written, or the disk is full.
    """
    part = path.with_name(path.name + ".part")
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.parent):
            if path.exists():
                return path
            for url in urls:
                reason = _try(url, part, sha256, progress or _ignore, timeout)
                if reason is None:
                    os.replace(part, path)
                    return path
                reasons.append(f"{urllib.parse.urlsplit(url).netloc} ({reason})")
    except OSError as error:
        hint = (
            "Make room on the disk" if error.errno == errno.ENOSPC else "Choose a folder that you may write"
        )
        raise ResourceError(f"{part} cannot be written: {error.strerror}. {hint}.") from None
    raise DataError(f"{path.name} could not be downloaded. Tried {', '.join(reasons)}.")


def _try(url: str, part: Path, sha256: str, progress: Progress, timeout: float) -> str | None:
    """None when `part` is whole and right, else why this mirror failed."""
    reason = ""
    for _ in range(_ATTEMPTS):
        had = _length(part)
        try:
            _append(url, part, progress, timeout)
        except _BrokenError as error:
            reason = str(error)
            if _length(part) > had:
                continue
            return reason
        if _hash(part) == sha256:
            return None
        part.unlink()
        reason = "sent a file with the wrong SHA-256"
        if not had:
            return reason
        # What was there before may have been wrong, from another mirror: once more from the start.
    return reason


def _append(url: str, part: Path, progress: Progress, timeout: float) -> None:
    had = _length(part)
    answer = _open(url, had, timeout)
    if answer is None:
        return
    with answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            had = 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = had + length if length else 0
        with open(part, "r+b" if had else "wb") as file:
            file.seek(had)
            progress(had, total)
            while piece := _piece(answer):
                file.write(piece)
                had += len(piece)
                progress(had, total)
    if had < total:
        raise _BrokenError(f"broke off after {had:,} of {total:,} bytes")


def _open(url: str, start: int, timeout: float) -> http.client.HTTPResponse | None:
    """The answer from byte `start` on, or from 0 where the mirror cannot; None where nothing is left."""
    request = urllib.request.Request(url, headers={"User-Agent": "tenfold"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        raise _BrokenError(f"answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_reason(error)) from None


def _piece(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_reason(error)) from None


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause) or type(error).__name__


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _hash(part: Path) -> str:
    with open(part, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ignore(done: int, total: int) -> None:
    pass
