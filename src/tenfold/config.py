"""Every setting of a training run: its name, default, unit and help text, written here and nowhere else.

The command line, the recipes, `config.yaml` in a run folder and the documentation all read these
dataclasses. A recipe is a `Config`; options replace single fields of it.
"""

import dataclasses
import math
import re
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tenfold.errors import UsageError, unknown


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training pictures, drawn anew for every picture and epoch."""

    flip: Literal["none", "random", "alternate"] = "none"
    """Mirror left to right: half of the pictures at random, or each picture in every second epoch."""
    crop: int = 0
    """Pad by this many pixels (mirrored) and crop back at a random place."""
    rotation: float = 0.0
    """Rotate by up to this many degrees either way."""
    shift: float = 0.0
    """Move by up to this fraction of width and of height."""
    zoom: float = 0.0
    """Scale by up to this fraction, larger or smaller."""
    brightness: float = 0.0
    """Brighten or darken by up to this fraction of the full range."""
    cutout: int = 0
    """Blank a square with sides of this many pixels."""

    def __post_init__(self) -> None:
        for name in ("crop", "rotation", "shift", "zoom", "brightness", "cutout"):
            _require(getattr(self, name) >= 0, f"augmentation.{name}", getattr(self, name), "0 or more")
        for name in ("shift", "zoom", "brightness"):
            _require(getattr(self, name) < 1, f"augmentation.{name}", getattr(self, name), "below 1")


@dataclass(frozen=True)
class Config:
    """All settings of one training run."""

    recipe: str = "fast"
    """The recipe these settings started from."""
    data: str = "cifar10"
    """`cifar10`, `digits`, a folder of class folders, one of CIFAR's archives, or parquet or npz."""
    image_size: int | None = None
    """Side in pixels that pictures are brought to. Default: their own size where all share one."""
    fit: Literal["pad", "crop", "squash"] = "pad"
    """How pictures that are not square become so."""
    exclude: str | None = None
    """File that names pictures to leave out of training and validation: the fixes.csv of `tenfold doctor`."""
    val_split: float = 0.1
    """Share of the training pictures held back for validation; 0 trains on all of them."""
    model: str = "fast"
    """Architecture."""
    model_options: dict[str, int | float | str | bool] = field(default_factory=dict)
    """Options of the architecture, for example `--set model_options.width=0.5`."""
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "muon"] = "sgd"
    """Optimizer."""
    learning_rate: float = 0.001
    """Peak learning rate."""
    momentum: float = 0.0
    """Momentum of `sgd` and `muon` (Nesterov where above 0)."""
    weight_decay: float = 0.0
    """Decoupled weight decay of convolution and dense kernels."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate falls from its peak to 0 over the run."""
    warmup: float = 0.0
    """Share of the run in which the learning rate climbs to its peak."""
    label_smoothing: float = 0.0
    """Share of each label spread evenly over all classes."""
    small_pictures: float = 0.0
    """Share of the run, from its start, on pictures of three quarters the side: nearly twice as fast. For
    models that take any size (`fast`), and not under TensorFlow, where one call of `fit` takes one."""
    epochs: int = 10
    """Passes over the training pictures."""
    time: float | str | None = None
    """Wall time of the whole command, such as 90s, 5m or 1h30m; `epochs` is then ignored: as many as fit."""
    batch_size: int = 32
    """Pictures a step."""
    patience: int = 0
    """Stop after this many epochs without a better `monitor`; 0 never stops early."""
    monitor: Literal["val_accuracy", "val_loss", "last"] = "val_accuracy"
    """What decides which epoch's model is kept; `last` keeps the final one."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Random changes to the training pictures."""
    seed: int = 0
    """Seeds the split, the initial weights, the order of pictures and the augmentation."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """Arithmetic of training. `auto` measures both and takes bfloat16 where it is clearly faster."""
    backend: Literal["auto", "torch", "tensorflow", "jax"] = "auto"
    """Keras backend. `auto`: KERAS_BACKEND where set, else torch."""

    def __post_init__(self) -> None:
        _require(0 <= self.val_split < 1, "val_split", self.val_split, "at least 0 and below 1")
        _require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        if isinstance(self.time, str):  # as people write it; from here on it is a number of seconds
            object.__setattr__(self, "time", None if self.time.lower() == "none" else seconds(self.time))
        if self.time is not None:
            held = float(self.time)
            _require(0 < held < math.inf, "time", self.time, "above 0 seconds, for example 90s, 5m or 1h30m")
        _require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "at least 0 and below 1")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _require(0 <= self.warmup < 1, "warmup", self.warmup, "at least 0 and below 1")
        _require(
            0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "at least 0, below 1"
        )
        _require(0 <= self.small_pictures <= 1, "small_pictures", self.small_pictures, "0 to 1")
        _require(self.patience >= 0, "patience", self.patience, "0 or more")
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        if self.image_size is not None:
            _require(8 <= self.image_size <= 256, "image_size", self.image_size, "8 to 256")


def _require(holds: bool, name: str, value: Any, expected: str) -> None:
    if not holds:
        raise UsageError(f"{name} must be {expected}. Received: {name}={value}")


_UNITS = {"h": 3600, "m": 60, "s": 1}


def seconds(text: str) -> float:
    """A time span as people write it, in seconds: hours, minutes and seconds, or a number of seconds alone.

    Raises:
        UsageError: anything else.

    Example:
        >>> seconds("1h30m"), seconds("1.5m"), seconds("90")
        (5400.0, 90.0, 90.0)
    """
    number = r"(\d+\.?\d*|\.\d+)"
    found = re.fullmatch(rf"{number}|(?:{number}h)?(?:{number}m)?(?:{number}s)?", text.strip().lower())
    if not (found and any(found.groups())):
        raise UsageError(f"time must be a time span, for example 90, 90s, 5m or 1h30m. Received: time={text}")
    alone, *parts = found.groups(default="0")
    return float(alone) + sum(float(part) * size for part, size in zip(parts, _UNITS.values(), strict=True))


def share(text: str) -> float:
    """A share as people write it: 2%, or 0.02.

    Raises:
        UsageError: anything else, or not between 0 and 1.

    Example:
        >>> share("2%"), share("0.02")
        (0.02, 0.02)
    """
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if rest or not 0 <= value <= 1:
        raise UsageError(f"Expected a share such as 2% or 0.02. Received: {text!r}")
    return value


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
