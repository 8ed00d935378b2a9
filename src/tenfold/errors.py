"""Every error that Tenfold raises for a reason a user can mend, with the exit code of the command line.

    TenfoldError            1   a fault in Tenfold itself
    +-- UsageError          2   an option, a name or a combination that does not exist
    +-- DataError           3   data that cannot be used
    +-- MissingExtraError   4   an optional part that is not installed
    +-- GateError           5   a result that misses its promised bound
    +-- ResourceError       6   too little memory, disk, time or permission
    Stopped               130   interrupted, with everything worth keeping on disk

A message says what happened, what was expected and how to mend it, in one line.
"""

import difflib
from collections.abc import Iterable


class TenfoldError(Exception):
    """Something went wrong; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(TenfoldError):
    """The call is wrong: an unknown name, a value out of range, settings that contradict each other."""

    exit_code = 2


class DataError(TenfoldError):
    """Pictures, labels or files that cannot be used."""

    exit_code = 3


class MissingExtraError(TenfoldError):
    """An optional package is needed and not installed; the message gives the install line."""

    exit_code = 4


class GateError(TenfoldError):
    """A result misses the bound that was asked for or promised."""

    exit_code = 5


class ResourceError(TenfoldError):
    """Too little memory, disk space or time, or no permission to write."""

    exit_code = 6


class Stopped(TenfoldError):  # noqa: N818 - it is no error of anyone's
    """The user or the system stopped the work; what was finished is saved.

    Args:
        message: what was kept and where.
        exit_code: 130 after an interrupt (SIGINT), 143 after a request to end (SIGTERM).
    """

    def __init__(self, message: str, exit_code: int = 130):
        super().__init__(message)
        self.exit_code = exit_code


def unknown(what: str, received: str, choices: Iterable[str]) -> str:
    """The message for a name that does not exist: what came, the nearest choice, and all choices.

    Example:
        >>> unknown("recipe", "fats", ["fast", "tiny"])
        "Unknown recipe. Received: 'fats'. Did you mean 'fast'? Choices: fast, tiny."
    """
    names = sorted(choices)
    near = difflib.get_close_matches(received, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {what}. Received: {received!r}.{hint} Choices: {', '.join(names)}."
