"""Find bad files, copies across splits, classes amiss and labels in doubt."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tenfold.cli import backends, faults
from tenfold.config import seconds as span
from tenfold.errors import DataError

if TYPE_CHECKING:
    from tenfold.doctor import Diagnosis

_EXAMPLES = 2  # of a kind, in the table


@dataclass(frozen=True)
class Options:
    """Look a data set over before training on it. Nothing of it is changed.

    Leaves findings.json, a contact sheet and a fix list for `tenfold train --exclude`. The exit code is 3
    where something makes scores wrong or training fail: unreadable files, a class that a split lacks or
    misnames, the same picture in several splits.
    """

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """As for `tenfold train`: a name, a folder or a file."""
    suspects: Literal["quick", "train", "none"] = "quick"
    """How to find wrong labels: a linear model in a minute, networks in some minutes, or not at all."""
    time: str | None = None
    """For `train`: wall time of all networks together, such as 5m. Default: 9m for 50,000 pictures."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """A trained run: finds near duplicates that pixels do not show, and doubts its validation labels."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Takes the files. Default: doctor/ and the data's name, with a number where that exists."""
    exist_ok: bool = False
    """Write into the folder if it exists, over the files of an earlier diagnosis."""
    json: bool = False
    """Print the findings as one JSON object."""
    backend: Literal["auto", "torch", "tensorflow", "jax"] = "auto"
    """Keras backend. `auto`: KERAS_BACKEND where set, else torch."""


def run(options: Options) -> int:
    """Looks, writes the files, prints a table."""
    limit = None if options.time is None else span(options.time)
    backends.choose(options.backend)
    from tenfold import runs
    from tenfold.doctor import doctor, write

    found = doctor(
        options.data,
        suspects=options.suspects,
        seconds=limit,
        run=None if options.run is None else runs.open_run(options.run),
        listen=(lambda sentence: None) if options.json else print,
    )
    name = Path(options.data).resolve().name if Path(options.data).exists() else options.data
    folder = write(found, options.output or Path("doctor", name), exist_ok=options.exist_ok)
    if options.json:
        print(json.dumps({**found.to_dict(), "output": str(folder)}, ensure_ascii=False))
    else:
        print("\n".join(["", *lines(found), "", *(f"{path}" for path in sorted(folder.iterdir()))]))
    if found.blockers:
        faults.say(
            f"Blockers: {len(found.blockers):,}. They make scores wrong or training fail; see {folder}."
        )
        return DataError.exit_code
    return 0


def lines(found: "Diagnosis") -> list[str]:
    """A diagnosis as text for people: a line a kind, and examples of it."""
    from tenfold.doctor.findings import KINDS

    shown = [", ".join(f"{count:,} {split}" for split, count in found.counts.items()) + " pictures", ""]
    for name, kind in KINDS.items():
        group = found.of(name)
        if group:
            shown.append(f"{kind.level:<8}{len(group):>7,}  {kind.title}. {kind.advice}")
            shown += [f"{'':17}{finding.message}" for finding in group[:_EXAMPLES]]
    if not found.findings:
        shown.append("Nothing was found.")
    across = found.touched(("duplicate-across", "near-across"), "test")
    if across:
        share = f"{across:,} ({across / found.counts['test']:.2%})"
        shown += ["", f"Test pictures that are in another split too, exactly or nearly: {share}."]
    return [*shown, "", *found.remarks]
