"""Find a good learning rate in seconds, with a plot."""

import dataclasses
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tenfold.cli import backends, command, train
from tenfold.cli.progress import Progress
from tenfold.config import Config

_OWN = ("lowest", "highest", "steps", "output", "o", "learning-rate", "lr")
_OWN_SWITCHES = ("json",)


@dataclass(frozen=True)
class Options:
    """Find a good learning rate: a short training whose rate rises from step to step, and is thrown away.

    Model, optimizer and batches are those of `tenfold train` with the same words. Suggested is the largest
    rate at which the loss still falls. Neither validation nor test pictures are looked at.
    """

    source: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = None
    """The same as --data."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file of settings, such as the config.yaml of a run."""
    set: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint="")
    ] = ()
    """Any setting by its name in config.yaml, for example augmentation.crop=2; may be repeated."""
    augment: Annotated[str | None, tyro.conf.arg(metavar="LEVEL")] = None
    """none, light, medium or strong augmentation in place of the recipe's, or single settings of it."""
    lowest: float = 1e-5
    """The first learning rate."""
    highest: float = 10.0
    """The last learning rate; most models diverge before, which ends the search."""
    steps: int | None = None
    """How many rates between them, one batch each. Default: 25,600 pictures, but 100 to 800."""
    output: Path | None = None
    """File for the plot, in PNG. Default: runs/lr-RECIPE.png."""
    json: bool = False
    """Print one JSON object."""
    settings: tyro.conf.OmitArgPrefixes[Config] = dataclasses.field(default_factory=Config)


def start(words: list[str]) -> Options:
    """The options to start from: those of the recipe and config file named among the words."""
    return Options(settings=train.start(words).settings)


def run(options: Options) -> int:
    """Searches, draws, and prints the rate and the command that uses it."""
    words = train.Options(source=options.source, set=options.set, settings=options.settings)
    config = train.resolve(words)
    backends.choose(config.backend)
    backends.load()
    with Progress("quiet" if options.json else "human") as progress:
        from tenfold.ratefinder import find_rate

        found = find_rate(
            config,
            lowest=options.lowest,
            highest=options.highest,
            steps=options.steps,
            listen=progress,
            progress=lambda done, total: progress.count("learning rates", done, total),
        )
    from tenfold.ratefinder import chart
    from tenfold.reporting import plots
    from tenfold.runs import Run

    path = options.output or Path("runs") / f"lr-{config.recipe}.png"
    Run(path.parent).write(path.name, plots.png(chart(found)))  # whole or not at all
    following = _following(found.suggested)
    if options.json:
        print(json.dumps({**found.to_dict(), "plot": str(path), "next": following}))
        return 0
    print(f"{found}\nPlot:   {path}\nNext:   {following}")
    return 0


def _following(rate: float) -> str:
    """The command that trains with a rate: the words as they were given, without those of this verb."""
    _, _, *words = shlex.split(command.line())
    return shlex.join(["tenfold", "train", *_kept(words), "--learning-rate", f"{rate:.2g}"])


def _kept(words: list[str]) -> Iterator[str]:
    waiting = False  # for the value of an option that was left out
    for word in words:
        name, equals, _ = word.partition("=")
        bare = name.lstrip("-").replace("_", "-")
        given = name.startswith("-") or bool(equals)
        if waiting:
            waiting = False
        elif given and bare in _OWN:
            waiting = not equals
        elif not (given and bare in _OWN_SWITCHES):
            yield word
