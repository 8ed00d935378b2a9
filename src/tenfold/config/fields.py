"""Every setting of a training run: its name, default, unit and help text, written here and nowhere else.

The command line, the recipes, `config.yaml` in a run folder and the documentation all read these
dataclasses. A recipe is a `Config`; options replace single fields of it.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from tenfold.config.units import seconds
from tenfold.errors import UsageError


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

    @property
    def soft_labels(self) -> bool:
        """Whether the loss sees shares of all classes in place of one class."""
        return self.label_smoothing > 0

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
