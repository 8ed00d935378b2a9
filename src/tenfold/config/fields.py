"""Every setting of a training run: its name, default, unit and help text, written here and nowhere else.

The command line, the recipes, `config.yaml` in a run folder and the documentation all read these
dataclasses. A recipe is a `Config`; options replace single fields of it.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from tenfold.config.spaces import Among, Around, Only, Range
from tenfold.config.units import seconds
from tenfold.errors import UsageError


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training pictures, drawn anew for every picture and epoch."""

    flip: Annotated[
        Literal["none", "random", "alternate", "vertical", "both"], Among(("none", "random", "alternate"))
    ] = "none"
    """Mirror left to right: half of the pictures at random, or each picture in every second epoch
    (alternate). Top to bottom at random (vertical), or both ways, each at random."""
    crop: Annotated[int, Among((0, 2, 4))] = 0
    """Pad by this many pixels (mirrored) and crop back at a random place."""
    rotation: Annotated[float, Among((0.0, 10.0))] = 0.0
    """Rotate by up to this many degrees either way."""
    shift: float = 0.0
    """Move by up to this fraction of width and of height."""
    zoom: float = 0.0
    """Scale by up to this fraction, larger or smaller."""
    brightness: float = 0.0
    """Brighten or darken by up to this fraction of the full range."""
    cutout: Annotated[int, Among((0, 8))] = 0
    """Blank a square with sides of this many pixels."""
    shear: float = 0.0
    """Slant by up to this many degrees either way."""
    contrast: float = 0.0
    """Raise or lower the contrast by up to this fraction."""
    saturation: float = 0.0
    """Strengthen or weaken the colours by up to this fraction."""
    randaugment: int = 0
    """RandAugment: this many operations on each picture, out of its fourteen."""
    magnitude: float = 9.0
    """Strength of the operations of `randaugment`, 0 to 30, as torchvision counts."""
    augmix: int = 0
    """AugMix: severity of its operations, 1 to 10; its paper takes 3."""
    erasing: float = 0.0
    """Blank a random rectangle in this share of the pictures (random erasing)."""
    mixup: Annotated[float, Among((0.0, 0.2))] = 0.0
    """MixUp: blend pictures and labels in pairs, shares drawn from Beta(mixup, mixup), such as 0.2."""
    cutmix: float = 0.0
    """CutMix: paste rectangles from one picture into another, shares drawn from Beta(cutmix, cutmix), such as
    1. Where `mixup` is on too, every batch gets one of them."""

    @property
    def mixes(self) -> bool:
        """Whether a picture may get a share of another one, and of its label."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def mirrors(self) -> bool:
        """Whether left and right of a picture may be exchanged."""
        return self.flip not in ("none", "vertical")

    @property
    def mild(self) -> "Augmentation":
        """What is left for `mild_pictures`: mirroring, and crops that move a picture by 2 pixels at most."""
        return Augmentation(flip=self.flip, crop=min(self.crop, 2))

    def __post_init__(self) -> None:
        below = {"shift": 1, "zoom": 1, "brightness": 1, "contrast": 1, "saturation": 1, "shear": 60}
        most = {"magnitude": 30, "augmix": 10, "erasing": 1}
        for name, value in vars(self).items():
            if name == "flip":
                continue
            _require(0 <= value < math.inf, f"augmentation.{name}", value, "0 or more")
            if name in below:
                _require(value < below[name], f"augmentation.{name}", value, f"below {below[name]}")
            if name in most:
                _require(value <= most[name], f"augmentation.{name}", value, f"0 to {most[name]}")


@dataclass(frozen=True)
class Config:
    """All settings of one training run."""

    recipe: str = "fast"
    """The recipe these settings started from."""
    data: str = "cifar10"
    """`cifar10`, `cifar100`, `cifar100-coarse`, `fashion-mnist`, `mnist` or `digits`; a folder of class
    folders, a CSV of paths and labels, parquet, npz, or the files that CIFAR and MNIST are published in."""
    image_size: int | None = None
    """Side in pixels that pictures are brought to. Default: their own size where all share one."""
    fit: Literal["pad", "crop", "squash"] = "pad"
    """How pictures that are not square become so."""
    exclude: str | None = None
    """File that names pictures to leave out of training and validation: the fixes.csv of `tenfold doctor`."""
    val_split: float = 0.1
    """Share of the training pictures held back for validation; 0 trains on all of them."""
    fraction: float = 1.0
    """Share of the training pictures to learn from, the same of every class; smaller shares lie within larger
    ones. Validation pictures are held back first, so that they stay the same."""
    model: str = "fast"
    """Architecture, by its name or your own: FILE.py:FUNCTION, whose function returns a Keras model, or
    FILE.keras, whose weights are the start."""
    model_options: dict[str, int | float | str | bool] = field(default_factory=dict)
    """Options of the architecture, for example `--set model_options.width=0.5`."""
    scaling: Literal["auto", "none", "unit"] = "auto"
    """What a model of your own is given: pixels 0 to 255 (none), or 0 to 1, by a layer put in front (unit).
    `auto` looks at it: `unit` where nothing at its start scales."""
    backbone: str | None = None
    """Network of Keras Applications to put a new head on, such as mobilenetv2; see `weights` and `freeze`."""
    weights: str = "auto"
    """What the backbone has learnt: a file (.h5, .weights.h5 or .keras); `imagenet`: Keras' own file, fetched
    where it is missing; `none`: nothing. `auto`: Keras' own file where it lies on this machine."""
    from_run: str | None = None
    """Run whose network gets a new head for these classes: a folder such as runs/a, or a .keras file."""
    freeze: int | None = None
    """How many layers of the backbone, or of the run's network, stay as they are; the others learn too, once
    the head has learnt. Default: all."""
    finetune_epochs: int = 10
    """Passes over the training pictures in which they do, after the `epochs` of the head alone."""
    finetune_rate: Annotated[float, Around(0.1, 10), Only("finetunes", (True,))] = 0.0001
    """Peak learning rate of these passes."""
    started_from: str | None = None
    """SHA-256 of the weights that `backbone` or `from_run` brought along; checked where it is set."""
    optimizer: Annotated[
        Literal["sgd", "adam", "adamw", "rmsprop", "muon"],
        # Those whose learning rates are alike; `adam` and `adamw` are the same, as decay is decoupled.
        Among(("adam", "rmsprop")),
        Among(("adamw", "rmsprop")),
        Among(("sgd", "muon")),
    ] = "sgd"
    """Optimizer."""
    learning_rate: Annotated[float, Around(0.1, 10)] = 0.001
    """Peak learning rate."""
    momentum: Annotated[float, Range(0.5, 0.98), Only("optimizer", ("sgd", "muon"))] = 0.0
    """Momentum of `sgd` and `muon` (Nesterov where above 0)."""
    weight_decay: Annotated[float, Among((0.0, 0.0005, 0.005, 0.05))] = 0.0
    """Decoupled weight decay of convolution and dense kernels."""
    schedule: Annotated[Literal["constant", "linear", "cosine"], Among()] = "constant"
    """How the learning rate falls from its peak to 0 over the run."""
    warmup: Annotated[float, Range(0.0, 0.2)] = 0.0
    """Share of the run in which the learning rate climbs to its peak."""
    label_smoothing: Annotated[float, Range(0.0, 0.2)] = 0.0
    """Share of each label spread evenly over all classes."""
    balance: bool = False
    """Let every class count the same in training, however many pictures it has: rare ones weigh more."""
    small_pictures: float = 0.0
    """Share of the run, from its start, on pictures of three quarters the side: nearly twice as fast. For
    models that take any size (`fast`), and not under TensorFlow, where one call of `fit` takes one."""
    mild_pictures: float = 0.0
    """Share of the run, at its end, on pictures that are no more than mirrored and moved by up to 2 pixels,
    and that nothing picks: what hard ones have taught comes to fit ordinary ones."""
    candidates: int = 1
    """Pictures looked at for each one that is learnt: a small network, trained beside, picks those that it is
    least sure of. An epoch looks at all of them that often, and its training accuracy is that of hard ones.
    Under torch, and for training from nothing."""
    teacher: str | None = None
    """Run whose answers are learned along with the labels (distillation): a folder such as runs/fast."""
    distillation: float = 0.9
    """Share of the teacher's answer in what is learned; the rest is the label."""
    temperature: float = 1.0
    """Softens the teacher's answers above 1, sharpens them below."""
    epochs: int = 10
    """Passes over the training pictures."""
    time: float | str | None = None
    """Wall time of the whole command, such as 90s, 5m or 1h30m; `epochs` is then ignored: as many as fit."""
    batch_size: Annotated[int, Range(32, 512, log=True)] = 32
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
    tensorboard: bool = False
    """Write every epoch for TensorBoard too: the folder tensorboard/ of the run."""
    mlflow: bool = False
    """Record the run with MLflow too: in mlflow.db beside the runs, or where MLFLOW_TRACKING_URI says."""

    @property
    def soft_labels(self) -> bool:
        """Whether the loss sees shares of all classes in place of one class."""
        return self.label_smoothing > 0 or self.teacher is not None or self.augmentation.mixes

    @property
    def own_model(self) -> bool:
        """Whether `model` is to be had from the user: a Python file, a saved file, or a program's memory."""
        name = self.model
        given = name.startswith("memory:") or name.endswith((".py", ".keras")) or ".py:" in name
        return given and not self.transfers  # which has it of `from_run`

    @property
    def last_epoch(self) -> int:
        """Epochs in all: those that finetune come after the others."""
        return self.epochs + (self.finetune_epochs if self.finetunes else 0)

    @property
    def transfers(self) -> bool:
        """Whether a new head is put on what another network has learnt."""
        return self.from_run is not None or (self.backbone is not None and self.weights != "none")

    @property
    def finetunes(self) -> bool:
        """Whether more than that head learns."""
        return self.transfers and self.freeze is not None

    def __post_init__(self) -> None:
        _require(0 <= self.val_split < 1, "val_split", self.val_split, "at least 0 and below 1")
        _require(0 < self.fraction <= 1, "fraction", self.fraction, "above 0, up to 1")
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
        _require(0 <= self.mild_pictures <= 1, "mild_pictures", self.mild_pictures, "0 to 1")
        _require(self.candidates >= 1, "candidates", self.candidates, "1 or more")
        _require(0 < self.distillation <= 1, "distillation", self.distillation, "above 0, up to 1")
        _require(0 < self.temperature < math.inf, "temperature", self.temperature, "above 0")
        self._check_transfer()
        _require(self.patience >= 0, "patience", self.patience, "0 or more")
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        if self.image_size is not None:
            _require(8 <= self.image_size <= 256, "image_size", self.image_size, "8 to 256")

    def _check_transfer(self) -> None:
        _require(self.finetune_epochs >= 1, "finetune_epochs", self.finetune_epochs, "1 or more")
        _require(self.finetune_rate > 0, "finetune_rate", self.finetune_rate, "above 0")
        _require(self.freeze is None or self.freeze >= 0, "freeze", self.freeze, "0 or more")
        received = f"backbone={self.backbone}, from={self.from_run}"
        if self.backbone is not None and self.from_run is not None:
            raise UsageError(
                f"Two networks to start from. Expected: --backbone or --from. Received: {received}"
            )
        if self.weights != "auto" and self.backbone is None:
            raise UsageError(
                f"--weights is for --backbone NAME. Received: weights={self.weights}, {received}"
            )
        if self.freeze is not None and not self.transfers:
            raise UsageError(
                "--freeze keeps what was learnt. Expected: --backbone NAME with weights, or --from RUN. "
                f"Received: freeze={self.freeze}, weights={self.weights}, {received}"
            )
        if self.time is not None and self.transfers:
            raise UsageError(
                "--time is for training from nothing. Expected: --epochs for the new head, --finetune-epochs "
                f"for what --freeze lets learn. Received: time={self.time}, {received}"
            )


def _require(holds: bool, name: str, value: Any, expected: str) -> None:
    if not holds:
        raise UsageError(f"{name} must be {expected}. Received: {name}={value}")
