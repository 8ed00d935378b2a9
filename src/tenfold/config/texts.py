"""Settings from and to text: one setting by its name, or a whole YAML file."""

import dataclasses
import re
import types
import typing
from typing import Any, Literal

import msgspec

from tenfold.config.fields import Config
from tenfold.errors import UsageError, unknown


def override(config: Config, key: str, text: str) -> Config:
    """`config` with the field `key` (dotted for nested ones) read from `text`.

    Args:
        config: the settings to start from.
        key: a field's name, for example "epochs", "augmentation.crop" or "model_options.width".
        text: the value as a user types it; `none` clears an optional field.

    Raises:
        UsageError: unknown field (the nearest is named), or text that does not fit its type.

    Example:
        >>> override(Config(), "augmentation.crop", "2").augmentation.crop
        2
    """
    if re.fullmatch(r"[+-]?\.\d+(e[+-]?\d+)?", text):  # no number to JSON, and one to everyone else
        text = text.replace(".", "0.", 1).lstrip("+")
    return _override(config, key.replace("-", "_"), text, key)


def _override(values: Any, path: str, text: str, key: str) -> Any:
    head, _, rest = path.partition(".")
    hints = typing.get_type_hints(type(values))
    if head not in hints:
        raise UsageError(unknown("setting", key, _names(Config)))
    current = getattr(values, head)
    if isinstance(current, dict):
        if not rest:
            raise UsageError(f"{key} takes an option's name too. Expected: --set {key}.NAME=VALUE")
        return dataclasses.replace(values, **{head: {**current, rest: _plain(text)}})
    if dataclasses.is_dataclass(current) or rest:
        if not (dataclasses.is_dataclass(current) and rest):
            raise UsageError(unknown("setting", key, _names(Config)))
        return dataclasses.replace(values, **{head: _override(current, rest, text, key)})
    return dataclasses.replace(values, **{head: _read(text, hints[head], key)})


def _names(kind: type) -> list[str]:
    names = []
    for name, hint in typing.get_type_hints(kind).items():
        nested = dataclasses.is_dataclass(hint)
        names += [f"{name}.{inner}" for inner in _names(typing.cast(type, hint))] if nested else [name]
    return names


def _plain(text: str) -> Any:
    """A number or truth value where the text reads as one, else the text itself."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _read(text: str, hint: Any, key: str) -> Any:
    optional = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
    if optional and text.lower() == "none":
        return None
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else None
        if choices:
            raise UsageError(unknown(key, text, choices)) from None
        raise UsageError(f"{key} cannot be read: {error}. Received: {key}={text}") from None


def to_yaml(config: Config) -> str:
    """The settings as `config.yaml` holds them; `from_yaml` reads them back."""
    return msgspec.yaml.encode(config).decode()


def from_yaml(text: str, name: str = "config.yaml") -> Config:
    """Settings from a file's text.

    Raises:
        UsageError: not YAML, an unknown key (the nearest is named), or a value that does not fit.
    """
    try:
        values = msgspec.yaml.decode(text)
    except msgspec.DecodeError as error:
        raise UsageError(f"{name} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{name} holds no settings. Expected lines such as `epochs: 10`.")
    _check_keys(values, Config, name)
    try:
        return msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}") from None


def _check_keys(values: dict[str, Any], kind: type, name: str) -> None:
    hints = typing.get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            raise UsageError(f"{name}: {unknown('setting', str(key), hints)}")
        if dataclasses.is_dataclass(hints[key]) and isinstance(value, dict):
            _check_keys(value, typing.cast(type, hints[key]), name)
