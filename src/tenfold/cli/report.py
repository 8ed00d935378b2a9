"""Write a run's report anew: one HTML page that needs no network."""

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tenfold.cli import faults


@dataclass(frozen=True)
class Options:
    """Write a run's report.html and plots from what the run folder holds, and print where it is."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    open: bool = False
    """Show the page in the browser too."""


def run(options: Options) -> int:
    """Writes the report and prints its path."""
    from tenfold import reporting, runs

    opened = runs.open_run(options.run)
    with faults.logged(opened.path):
        page = reporting.report(opened)
    print(page)
    if options.open:
        webbrowser.open(page.resolve().as_uri())
    return 0
