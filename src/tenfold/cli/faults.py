"""Turns whatever goes wrong into one line on the screen and an exit code; tracebacks go to a file."""

import contextlib
import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tenfold.cli import command
from tenfold.errors import ResourceError, TenfoldError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Outcome:
    """The exit code of a command, to be filled in."""

    code: int = 0


@contextlib.contextmanager
def reported() -> Iterator[Outcome]:
    """Runs a command; an error becomes one line on stderr, and its exit code lands in the outcome."""
    outcome = Outcome()
    try:
        with logged(Path(tempfile.gettempdir())):
            yield outcome
    except TenfoldError as error:
        say(str(error))
        outcome.code = error.exit_code
    except SystemExit as end:  # the option parser, after it has printed help
        outcome.code = end.code if isinstance(end.code, int) else UsageError.exit_code
    except KeyboardInterrupt:
        say("Stopped.")
        outcome.code = 130
    except BrokenPipeError:
        # The reader has seen enough, as in `tenfold predict ... | head`. Python would complain once more
        # when it flushes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Turns an unforeseen exception into a TenfoldError that says where its traceback was written.

    Args:
        folder: takes the log; the run folder where there is one.
    """
    try:
        yield
    except (TenfoldError, BrokenPipeError):
        raise
    except Exception as error:
        if os.environ.get("TENFOLD_DEBUG"):
            traceback.print_exc()
        raise _explained(error, folder) from error


def _explained(error: Exception, folder: Path) -> TenfoldError:
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return ResourceError("Not enough memory. Use a smaller --batch-size or --image-size.")
    if isinstance(error, OSError) and error.errno in _FULL:
        return ResourceError(f"No space left on the disk ({error.filename or 'writing'}). Free some.")
    if isinstance(error, PermissionError):
        return ResourceError(
            f"No permission for {error.filename or 'a file'}. Unlock it or choose another place."
        )
    place = _write_log(folder)
    return TenfoldError(
        f"A fault in Tenfold ({type(error).__name__}: {_first_line(error)}). {place}. "
        "Please report it with that text."
    )


def _write_log(folder: Path) -> str:
    text = f"{command.line()}\n\n{traceback.format_exc()}"
    for place in dict.fromkeys([folder, Path(tempfile.gettempdir())]):
        path = place / f"tenfold-fault-{os.getpid()}.log"
        with contextlib.suppress(OSError):
            path.write_text(text, encoding="utf-8")
            return f"The traceback is in {path}"
    return "The traceback could not be written; set TENFOLD_DEBUG=1 to see it"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def say(message: str) -> None:
    """One line on stderr, in the form of every message about trouble."""
    print(f"tenfold: {' '.join(message.split())}", file=sys.stderr, flush=True)
