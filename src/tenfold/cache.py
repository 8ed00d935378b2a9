"""Where Tenfold keeps what belongs to no run: downloads, decoded pictures, features, compiled kernels."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def home() -> Path:
    """$TENFOLD_CACHE, else $XDG_CACHE_HOME/tenfold, by default ~/.cache/tenfold."""
    own = os.environ.get("TENFOLD_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tenfold"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps a second process from writing the same files in `folder`: it waits, then finds them there."""
    try:
        import fcntl
    except ImportError:  # Windows; there hashes alone decide.
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
