"""Write a run's model card: what to know before using the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tenfold.cli import faults


@dataclass(frozen=True)
class Options:
    """Write a run's exports/model_card.md from what the run folder holds, and print where it is.

    `tenfold export` writes it too; this writes it anew after a later `evaluate` or `bench`.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    license: str | None = None
    """Licence of the model as hubs name it, such as mit or cc-by-4.0. Default: as in the card before."""


def run(options: Options) -> int:
    """Writes the card and prints its path."""
    from tenfold import modelcard, runs

    opened = runs.open_run(options.run)
    with faults.logged(opened.path):
        print(modelcard.write(opened, options.license))
    return 0
