"""The command line as it was given, for the record in run folders and logs."""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

_words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


def remember(words: Sequence[str]) -> None:
    """Keeps the words after `tenfold` for `line`."""
    _words.set(tuple(words))


def line() -> str:
    """The whole command, quoted as a shell wants it."""
    return shlex.join(["tenfold", *_words.get()])
