"""Train a run again from its folder or its model card, and compare the two."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tenfold.cli import backends, command, faults
from tenfold.cli.progress import Progress, Style, emit
from tenfold.cli.train import ending, summarise
from tenfold.errors import GateError


@dataclass(frozen=True)
class Options:
    """Train a run again with its settings, on the same data, and say whether the same comes of it.

    Its data are compared with the hashes of then first. On the same machine, with the same versions and
    number of threads, the weights are the same bit for bit, but for runs by --time. Else the answers to the
    validation pictures are compared, and the exit code is 5 where they differ by more than chance. Takes as
    long as the first training did.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, or a model card that `tenfold export` wrote: it holds all that is needed."""
    data: str | None = None
    """Where the data are, if no longer where the run found them."""
    name: str | None = None
    """Name of the new run. Default: the first one's and -again."""
    runs: Path | None = None
    """Folder that takes the new run. Default: beside the first; for a model card, runs."""
    exist_ok: bool = False
    """Empty and reuse the run folder if it exists, instead of taking a new number."""
    quiet: bool = False
    """Print the result only."""
    json: bool = False
    """Print events as JSON lines on stdout, the last of them the result; text for people goes to stderr."""


def run(options: Options) -> int:
    """Trains, compares, prints the verdict."""
    from tenfold import records

    first = records.read(options.source)
    if options.data is not None:
        first = dataclasses.replace(first, config=dataclasses.replace(first.config, data=options.data))
    beside = Path("runs") if options.source.is_file() else options.source.resolve().parent
    backends.choose(first.config.backend)
    backends.load()
    from tenfold import reproduction

    style: Style = "json" if options.json else "quiet" if options.quiet else "human"
    with Progress(style, first.config.monitor) as progress:
        found = reproduction.reproduce(
            first,
            runs=options.runs or beside,
            name=options.name,
            exist_ok=options.exist_ok,
            command=command.line(),
            listen=progress,
            ending=ending(first.config),
        )
    with faults.logged(found.run.path):
        summarise(found.run, style, progress)
    if options.json:
        emit("reproduction", **found.to_dict())
    if not found.reproduced:
        raise GateError(str(found))
    if not options.json:
        print(found)
    return 0
