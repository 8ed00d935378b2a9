"""Look at a data set: what is in it, and what augmentation makes of it."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tenfold.cli import settings, train
from tenfold.cli.progress import tables
from tenfold.config import Augmentation, Config
from tenfold.errors import ResourceError, UsageError

if TYPE_CHECKING:
    from tenfold.datasets.census import Census

_MOST = 40  # rows or columns of pictures


@dataclass(frozen=True)
class Options:
    """Look at a data set. `tenfold data info DATA` prints its splits, classes, counts and sizes.

    `tenfold data show DATA` draws training pictures before and after augmentation into a PNG file. What to
    draw is said as for `tenfold train`, so the same words show what a training would see.
    """

    what: Annotated[Literal["info", "show"], tyro.conf.Positional]
    """What to do; all options but --json, --image-size and --fit are for `show`."""
    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = Config.data
    """As for `tenfold train`: a name, a folder or a file."""
    recipe: str = Config.recipe
    """The recipe whose augmentation to start from."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file of settings, such as the config.yaml of a run."""
    set: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint="")
    ] = ()
    """Any setting by its name in config.yaml, for example augmentation.crop=2; may be repeated."""
    augment: Annotated[str | None, tyro.conf.arg(metavar="LEVEL")] = None
    """none, light, medium or strong augmentation in place of the recipe's, or settings such as
    crop=4,mixup=0.2 on top of it; options below change single ones."""
    pictures: int = 6
    """How many training pictures to draw, one a row."""
    draws: int = 7
    """How often to draw each of them, beside the picture as it is."""
    output: Path = Path("augmentation.png")
    """The PNG file to write."""
    json: bool = False
    """Print one JSON object."""
    image_size: int | None = None
    """Side in pixels that pictures are brought to. Default: their own size where all share one."""
    fit: Literal["pad", "crop", "squash"] = "pad"
    """How pictures that are not square become so."""
    seed: int = 0
    """Chooses the pictures, and draws the changes."""
    augmentation: tyro.conf.OmitArgPrefixes[Augmentation] = field(default_factory=Augmentation)


def start(words: list[str]) -> Options:
    """The options to start from: those of the recipe, config file and level named among the words."""
    base = train.starting_point(words)
    taken = ("data", "recipe", "image_size", "fit", "seed", "augmentation")
    return Options(what=tyro.MISSING, **{name: getattr(base, name) for name in taken})


def run(options: Options) -> int:
    """Prints the numbers, or draws and prints the path."""
    taken = ("data", "image_size", "fit", "seed", "augmentation")
    config = settings.apply(Config(**{name: getattr(options, name) for name in taken}), options.set)
    if options.what == "info":
        _info(config, options.json)
    else:
        _show(config, options)
    return 0


def _info(config: Config, as_json: bool) -> None:
    from tenfold import datasets
    from tenfold.datasets import census

    found = census.count(datasets.find(config.data, image_size=config.image_size, fit=config.fit))
    if as_json:
        print(json.dumps(dataclasses.asdict(found), ensure_ascii=False))
        return
    totals = ", ".join(f"{sum(counts):,} {split}" for split, counts in found.counts.items())
    print(f"{found.location} ({found.kind})")
    print(f"{totals} pictures of {len(found.class_names)} classes{_sizes(found)}\n")
    from rich.table import Table
    from rich.text import Text

    table = Table("class", box=None, pad_edge=False)
    for split in found.counts:
        table.add_column(split, justify="right")
    for place, name in enumerate(found.class_names):
        table.add_row(Text(name), *(f"{counts[place]:,}" for counts in found.counts.values()))
    tables().print(table)
    if found.notes:
        print("\n" + "\n".join(found.notes))


def _sizes(found: "Census") -> str:
    if found.sizes is None:
        return ""
    smallest, largest = (f"{width} x {height}" for width, height in found.sizes)
    return f", {smallest} pixels" if smallest == largest else f", {smallest} to {largest} pixels"


def _show(config: Config, options: Options) -> None:
    for name in ("pictures", "draws"):
        value = getattr(options, name)
        if not 1 <= value <= _MOST:
            raise UsageError(f"{name} must be 1 to {_MOST}. Received: {name}={value}")
    from tenfold import datasets
    from tenfold.reporting import plots, previews

    dataset = datasets.load(config.data, "train", image_size=config.image_size, fit=config.fit)
    figure = previews.preview(dataset, config, pictures=options.pictures, draws=options.draws)
    try:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_bytes(plots.png(figure))
    except OSError as error:
        raise ResourceError(
            f"Cannot write {options.output}: {error.strerror}. Choose another --output."
        ) from error
    if options.json:
        change = dataclasses.asdict(config.augmentation)
        print(json.dumps({"file": str(options.output), "augmentation": change}, ensure_ascii=False))
    else:
        print(options.output)
