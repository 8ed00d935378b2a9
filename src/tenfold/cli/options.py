"""From the words on the command line to a verb's options: our spelling first, then tyro.

Besides `--epochs 20` and `--epochs=20` a verb understands `epochs=20`, underscores for dashes, and the short
and foreign names in `ALIASES`. A wrong word is named with the nearest right one, in one line.
"""

import contextlib
import dataclasses
import difflib
import io
import itertools
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from tenfold.errors import UsageError, unknown

ALIASES = {
    "-e": "--epochs",
    "-b": "--batch-size",
    "-o": "--output",
    "-q": "--quiet",
    "--aug": "--augment",
    "--batch": "--batch-size",
    "--from": "--from-run",
    "--lr": "--learning-rate",
    "--imgsz": "--image-size",
    "--smoothing": "--label-smoothing",
    "--project": "--runs",
    "--reprob": "--erasing",
}

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class _Option:
    takes: Literal["nothing", "one", "many"]


def parse(kind: type[T], words: Sequence[str], *, verb: str, default: T | None = None) -> T:
    """A verb's options from its words.

    Args:
        kind: the verb's frozen dataclass; its docstrings are the help text.
        words: what follows the verb.
        verb: for usage lines and messages.
        default: values to start from, where they differ from the dataclass's own.

    Raises:
        UsageError: an unknown option, a value that does not fit, a missing one.
        SystemExit: after `--help` has been printed.
    """
    table = _table(kind)
    args = _changing(normalise(words, table, verb), _switched_on(default), table)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                kind,
                prog=f"tenfold {verb}",
                description=_description(kind, table),
                args=args,
                default=tyro.MISSING_NONPROP if default is None else default,
                config=(tyro.conf.FlagCreatePairsOff,),
                registry=_registry(),
            )
    except SystemExit as end:
        if end.code:
            raise UsageError(_plain(complaint.getvalue(), verb)) from None
        raise


def normalise(words: Sequence[str], table: dict[str, _Option], verb: str) -> list[str]:
    """The words with every option in the form `--some-name`; see the module's docstring."""
    out: list[str] = []
    pending = ""  # an option that still waits for its one value
    for word in words:
        if pending and _spelled(word.partition("=")[0]) in table:
            break
        if pending:
            pending = ""
        elif word.startswith("-") and word not in ("-", "-h", "--help"):
            name, equals, value = word.partition("=")
            name = _name(name, table, verb)
            word, pending = _joined(name, equals, value, table)
        elif "=" in word:
            key, equals, value = word.partition("=")
            name = _spelled(f"--{key}")
            if name in table:
                word, pending = _joined(name, equals, value, table)
        if word:
            out.append(word)
    if pending:
        raise UsageError(f"{pending} needs a value. See: tenfold {verb} --help")
    return out


def value_of(words: Sequence[str], name: str) -> str | None:
    """The last value given to an option, in any spelling, before the words are parsed as a whole."""
    found = None
    for word, following in itertools.zip_longest(words, words[1:]):
        key, equals, value = word.partition("=")
        if equals and (_spelled(key) == f"--{name}" or key == name):
            found = value
        elif _spelled(word) == f"--{name}" and following is not None:
            found = following
    return found


def _joined(name: str, equals: str, value: str, table: dict[str, _Option]) -> tuple[str, str]:
    """The word to pass on, and the option itself where it waits for a value."""
    option = table[name]
    if option.takes != "nothing":
        return f"{name}{equals}{value}", name if option.takes == "one" and not equals else ""
    if value.lower() not in ("", "true", "false", "1", "0"):
        raise UsageError(f"{name} is a switch and takes no value. Received: {name}={value}")
    off = value.lower() in ("false", "0")
    return (name if not off else name.replace("--no-", "--") if "--no-" in name else f"--no-{name[2:]}"), ""


def _name(given: str, table: dict[str, _Option], verb: str) -> str:
    name = _spelled(given)
    if name in table:
        return name
    near = difflib.get_close_matches(name, [*table, *(a for a, b in ALIASES.items() if b in table)], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"Unknown option. Received: {given}.{hint} All options: tenfold {verb} --help")


def _spelled(given: str) -> str:
    name = given.replace("_", "-").replace("--augmentation.", "--")
    return ALIASES.get(name, name)


def _table(kind: type) -> dict[str, _Option]:
    """Every option of a dataclass and of those nested in it, by its name on the command line."""
    table: dict[str, _Option] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        bare, marks = _unwrapped(hint)
        if dataclasses.is_dataclass(bare):
            table |= _table(typing.cast(type, bare))
        elif tyro.conf.Positional not in marks:
            many = typing.get_origin(bare) in (tuple, dict) and tyro.conf.UseAppendAction not in marks
            takes: Any = "nothing" if bare is bool else "many" if many else "one"
            # `class_`: a word that Python keeps for itself.
            option = name.rstrip("_").replace("_", "-")
            table[f"--{option}"] = _Option(takes)
            if takes == "nothing":  # what a recipe or a file has switched on
                table[f"--no-{option}"] = _Option(takes)
    return table


def _unwrapped(hint: Any) -> tuple[Any, list[Any]]:
    marks: list[Any] = []
    while typing.get_origin(hint) is typing.Annotated:
        hint, *more = typing.get_args(hint)
        marks += more
    return hint, marks


def _switched_on(values: Any) -> set[str]:
    """The switches that are on in a dataclass's values and in those nested in it; none in None."""
    found: set[str] = set()
    for field in dataclasses.fields(values) if values is not None else ():
        value = getattr(values, field.name)
        if dataclasses.is_dataclass(value):
            found |= _switched_on(value)
        elif value is True:
            found.add(f"--{field.name.rstrip('_').replace('_', '-')}")
    return found


def _changing(words: list[str], on: set[str], table: dict[str, _Option]) -> list[str]:
    """The words without those that switch to what is so already, which tyro does not know."""
    switches = {name for name, option in table.items() if option.takes == "nothing"}
    off = {f"--no-{name[2:]}" for name in on}
    return [
        word
        for word in words
        if word not in switches or word in off or (word not in on and word[:5] != "--no-")
    ]


def _description(kind: type, table: dict[str, _Option]) -> str:
    also = ", ".join(f"{alias} for {name}" for alias, name in ALIASES.items() if name in table)
    text = " ".join(str(kind.__doc__).split())
    return f"{text}\n\nAlso understood: {also}; name=value for --name value." if also else text


def _registry() -> ConstructorRegistry:
    """Reads single values with messages of our own, and `name=value` pairs for dictionaries."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def scalar(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        hints = [hint for hint in typing.get_args(info.type) or (info.type,) if hint is not type(None)]
        optional = info.type_origin is types.UnionType and len(hints) == 1
        choices = hints if info.type_origin is Literal else []
        kind: Any = str if choices else next(iter(hints), None)
        if kind not in (int, float, str, Path) or not (info.type_origin is None or optional or choices):
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="{" + ",".join(choices) + "}" if choices else kind.__name__.upper(),
            instance_from_str=lambda words: _read(words[0], kind, choices, optional),
            is_instance=lambda value: value in choices if choices else isinstance(value, kind | int | None),
            str_from_instance=lambda value: ["none" if value is None else str(value)],
        )

    @registry.primitive_rule
    def pairs(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type_origin is not dict:
            return None
        return PrimitiveConstructorSpec(
            nargs="*",
            metavar="NAME=VALUE",
            instance_from_str=lambda words: dict(_pair(word) for word in words),
            is_instance=lambda value: isinstance(value, dict),
            str_from_instance=lambda value: [f"{name}={item}" for name, item in value.items()],
        )

    return registry


def _read(text: str, kind: type, choices: list[str], optional: bool) -> Any:
    if optional and text.lower() == "none":
        return None
    if choices and text not in choices:
        raise ValueError(unknown("choice", text, choices))
    try:
        return kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise ValueError(f"Expected {expected}. Received: {text!r}") from None


def _pair(word: str) -> tuple[str, Any]:
    name, equals, text = word.partition("=")
    if not (name and equals):
        raise ValueError(f"Expected NAME=VALUE. Received: {word!r}")
    try:
        return name, msgspec.json.decode(text, type=bool | int | float)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return name, text


def _plain(box: str, verb: str) -> str:
    """What tyro says in a framed box, as one line."""
    said: list[str] = []
    for line in box.splitlines()[1:]:  # the first holds the title
        text = line.strip("│╰╯ ")
        if not text.strip("─-"):
            if said:
                break
        else:
            said.append(text)
    sentence = re.sub(r"^Error parsing (\S+): ", r"\1: ", " ".join(said)).rstrip(".")
    sentence = re.sub(r"^Missing from .*?: (\S+) .*", r"\1 is missing", sentence)
    return f"{sentence}. See: tenfold {verb} --help"
