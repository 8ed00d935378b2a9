"""The command line. One module a verb: parse, call, print; whatever is heavy is imported inside.

A verb's module holds `Options`, a frozen dataclass that is its help, and `run(options)`, which returns the
exit code. The first line of its docstring is its line in `tenfold --help`.
"""

import pkgutil
import re
import sys
from collections.abc import Sequence
from importlib import import_module

import tenfold
from tenfold import errors
from tenfold.cli import command, faults

VERBS = {
    "Start": ("demo", "train", "resume", "reproduce"),
    "Use a run": ("evaluate", "compare", "predict", "explain", "report", "export", "card", "bench", "serve"),
    "Improve": ("lr", "curve", "tune"),
    "Look around": ("doctor", "data", "models", "recipes", "checks"),
}

_EXAMPLES = """\
  tenfold demo                                    see it work, offline, in about a minute
  tenfold train                                   CIFAR-10 with the fast recipe
  tenfold train photos/ --epochs 20               your own pictures, one folder a class
  tenfold evaluate runs/fast --split test
  tenfold predict runs/fast cat.jpg holiday/ --topk 3
  tenfold export runs/fast --format onnx
  tenfold serve runs/fast                        a web service, and a page to try it on"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; nothing but the exit code and the printed text leaves here.

    Args:
        argv: the words after `tenfold`; those of the process when None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command.remember(words)
    with faults.reported() as outcome:
        outcome.code = _dispatch(words)
    return outcome.code


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help") or words == ["help"]:
        print(help_text())
        return 0
    if words[0] in ("--version", "version"):
        print(f"tenfold {tenfold.__version__}")
        return 0
    if words[0] == "help":
        words = [words[1], "--help"]
    verb, *rest = words
    verbs = [name for group in VERBS.values() for name in group]
    if verb.startswith("-"):
        raise errors.UsageError(errors.unknown("option", verb, ["--help", "--version"]))
    if verb not in verbs:
        raise errors.UsageError(errors.unknown("verb", verb, verbs))
    from tenfold.cli import options

    module = import_module(f"tenfold.cli.{verb}")
    start = module.start(rest) if hasattr(module, "start") else None
    return module.run(options.parse(module.Options, rest, verb=verb, default=start))


def help_text() -> str:
    """What `tenfold --help` prints. Reads the verbs' first lines without importing them."""
    lines = [str(tenfold.__doc__).splitlines()[0], "", "usage: tenfold VERB [options]"]
    lines += ["       tenfold VERB --help    for the options of a verb", ""]
    for title, verbs in VERBS.items():
        lines += [title, *(f"  {verb:<10}{_first_line(verb)}" for verb in verbs), ""]
    lines += ["Examples", _EXAMPLES, "", "Exit codes", f"  {0:<5}done"]
    lines += [f"  {code:<5}{meaning}" for code, meaning in _exit_codes()]
    lines += [f"  {143:<5}the same after a request to end (SIGTERM)"]
    return "\n".join(lines)


def _first_line(verb: str) -> str:
    source = pkgutil.get_data("tenfold.cli", f"{verb}.py") or b'""""""'
    return source.decode().split('"""')[1].splitlines()[0].rstrip(".")


def _exit_codes() -> list[tuple[str, str]]:
    """Codes and meanings, from the drawing of the error tree."""
    return re.findall(r"^ +(?:\+-- )?\w+ +(\d+)  +(.+)$", str(errors.__doc__), re.MULTILINE)
