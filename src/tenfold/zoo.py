"""The architectures by name: what each is, and what has been measured of it. Loads neither Keras nor torch.

`models.BUILDERS` makes them. The figures are those of `models/measured.json`, which the package ships and
benchmarks/models.py writes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

ABOUT = {
    "fast": ("Whitening, three blocks of convolutions, global max pool; for minutes", "arXiv:2404.00498"),
    "resnet20": ("Residual blocks on 16, 32, 64 filters, 20 layers", "arXiv:1512.03385"),
    "resnet56": ("The same with 56 layers", "arXiv:1512.03385"),
    "resnet18": ("Residual blocks on 64 to 512 filters, 18 layers", "arXiv:1512.03385"),
    "wideresnet": ("Residual blocks on 64, 128, 256 filters, 16 layers, norms first", "arXiv:1605.07146"),
    "vgg16": ("3x3 convolutions and pools, with batch norm", "arXiv:1409.1556"),
    "inception": ("1x1 beside 3x3 convolutions, with batch norm", "arXiv:1611.03530"),
    "mobilenetv2": ("Inverted residual blocks, one convolution a channel", "arXiv:1801.04381"),
    "convmixer": ("Patches, mixed by place and by channel in turn", "arXiv:2201.09792"),
    "convnext": ("Residual blocks with kernels of 7x7 and layer norm, small", "arXiv:2201.03545"),
    "vit": ("Vision transformer on patches of 4x4 pixels, small", "arXiv:2010.11929"),
    "tiny": ("One convolution of 12 filters, one dense layer: a classic", ""),
    "plain": ("Three bare convolutions, two dense layers: a classic", ""),
    "compact": ("Three bare convolutions, one dense layer: a classic", ""),
    "batchnorm": ("Three convolutions with batch norm, two dense layers: a classic", ""),
    "augmented": ("Three convolutions with batch norm and dropout: a classic", ""),
}
"""What each architecture is, in a line, and its paper where it has one."""

MEASURED = Path(__file__).parent / "models" / "measured.json"


@dataclass(frozen=True)
class Origin:
    """What it takes to find a figure again.

    Attributes:
        command: that found it.
        date: of that day, as 2026-11-21.
        machine: processor and cores.
        versions: of Keras, torch and Python.
        commit: of the sources; "+" at its end where they were changed since.
    """

    command: str
    date: str
    machine: str
    versions: str
    commit: str


@dataclass(frozen=True)
class Speed:
    """How fast an architecture trains.

    Attributes:
        images_per_second: the median of `rounds`.
        rounds: images a second of each time it was measured.
        precision: arithmetic; `batch_size` in pictures; `threads` that computed.
        origin: where it was measured.
    """

    images_per_second: float
    rounds: tuple[float, ...]
    precision: str
    batch_size: int
    threads: int
    origin: Origin


@dataclass(frozen=True)
class Score:
    """What an architecture reaches in a given time.

    Attributes:
        accuracy: share of CIFAR-10's test pictures that were right, one plain view; of one run.
        pictures: how many those were.
        time: of the whole command, as "15m".
        epochs: passes over the training pictures that fitted.
        origin: where it was measured.
    """

    accuracy: float
    pictures: int
    time: str
    epochs: float
    origin: Origin


@dataclass(frozen=True)
class Figures:
    """What is known of an architecture with its default options, for ten classes of 32 x 32 pixels.

    Attributes:
        parameters: weights, trained or not.
        flops: floating-point operations of a forward pass for one picture.
        speed, score: None where they have not been measured.
    """

    parameters: int
    flops: int
    speed: Speed | None = None
    score: Score | None = None


def figures() -> dict[str, Figures]:
    """What is known of each architecture, by name."""
    return msgspec.json.decode(MEASURED.read_bytes(), type=dict[str, Figures])


def keep(found: Mapping[str, Figures]) -> None:
    """Writes `found` as what `figures` reads, in the order of `ABOUT`."""
    ordered = {name: found[name] for name in ABOUT if name in found}
    MEASURED.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")


def machines(found: Iterable[Speed | Score | None]) -> list[str]:
    """Where figures were measured: each machine once, with the days of its first and last figure."""
    days: dict[str, list[str]] = {}
    for one in found:
        if one is not None:
            days.setdefault(one.origin.machine, []).append(one.origin.date)
    return [
        f"{machine}, {' to '.join(dict.fromkeys((min(dates), max(dates))))}"
        for machine, dates in days.items()
    ]
