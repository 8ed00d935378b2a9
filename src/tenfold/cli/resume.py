"""Take a stopped or killed run to the end it would have had, bit for bit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tenfold.cli import backends, faults
from tenfold.cli.progress import Progress, Style
from tenfold.cli.train import ending, summarise


@dataclass(frozen=True)
class Options:
    """Go on with a run after its last whole epoch, with the settings it was started with.

    A run with --time goes on with the time that was left then. A study of `tenfold tune` goes on with its
    trials; those that were running are tried again.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder, for example runs/fast, or the folder of a study."""
    quiet: bool = False
    """Print the result only."""
    json: bool = False
    """Print events as JSON lines on stdout; text for people goes to stderr."""


def run(options: Options) -> int:
    """Resumes, evaluates on the validation split and writes the report, as `tenfold train` does."""
    from tenfold.runs import open_run

    style: Style = "json" if options.json else "quiet" if options.quiet else "human"
    if (options.run / "study.yaml").exists():
        from tenfold.cli import tune

        return tune.go_on(options.run, style)
    opened = open_run(options.run)
    settings = opened.config
    backends.choose(settings.backend)
    backends.load()
    from tenfold import training

    with faults.logged(opened.path), Progress(style, settings.monitor) as progress:
        training.resume(opened, listen=progress, ending=ending(settings))
        summarise(opened, style, progress)
    return 0
