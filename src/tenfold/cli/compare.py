"""Say which of several runs is better, by how much, where, and at what cost."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tenfold.cli.progress import duration, percent, tables

if TYPE_CHECKING:
    from rich.table import Table

    from tenfold.comparison import Comparison, Side

_NONE = "-"


@dataclass(frozen=True)
class Options:
    """Compare runs with the first one, picture by picture, and say whether they differ by more than chance.

    Reads what `tenfold evaluate` left in the run folders, and looks at no picture itself.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Two or more run folders; each is compared with the first."""
    split: Literal["validation", "test", "train"] = "validation"
    """Which pictures to compare on; each run must have been scored on them."""
    json: bool = False
    """Print one JSON object."""


def run(options: Options) -> int:
    """Compares and prints."""
    from tenfold.comparison import compare

    found = compare(options.runs, split=options.split)
    if options.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
        return 0
    without = f" ({found.left_out:,} that not all were scored on are left out)" if found.left_out else ""
    print(f"On the same {found.pictures:,} {found.split} pictures{without}:\n")
    tables().print(_costs(found))
    print()
    for difference in found.differences:
        print(difference)
    print("\nRight answers by class; * differs from the first run by more than chance:\n")
    tables().print(_classes(found))
    print()
    for difference in found.differences:
        won = [[one.name for one in difference.classes if one.winner == name] for name in
               (difference.second, difference.first)]  # fmt: skip
        better, worse = (", ".join(names) or "none" for names in won)
        print(f"{difference.second} is better than {difference.first} on: {better}. Worse on: {worse}.")
    return 0


def _costs(found: "Comparison") -> "Table":
    """Quality and cost, one run a row."""
    columns = ("accuracy", "95 % interval", "loss", "parameters", "FLOPs", "training", "images/s", "file")
    table = _table("run", columns)
    for side in found.sides:
        low, high = side.interval
        quality = (percent(side.accuracy), f"{100 * low:.1f} to {percent(high)}", f"{side.loss:.4f}")
        table.add_row(side.name, *quality, *_cost(side))
    return table


def _cost(side: "Side") -> tuple[str, ...]:
    return (
        _NONE if side.parameters is None else f"{side.parameters:,}",
        _NONE if side.flops is None else f"{side.flops / 1e6:,.1f} M",
        _NONE if side.seconds is None else duration(side.seconds),
        _NONE if side.images_per_second is None else f"{side.images_per_second:,.0f}",
        _NONE if side.file_bytes is None else f"{side.file_bytes / 1e6:,.1f} MB",
    )


def _classes(found: "Comparison") -> "Table":
    """Share of right answers, one class a row and one run a column."""
    table = _table("class", ("pictures", *(side.name for side in found.sides)))
    for rows in zip(*(difference.classes for difference in found.differences), strict=True):
        shares = [f"{percent(one.second)} {'*' if one.winner else ' '}" for one in rows]
        table.add_row(rows[0].name, f"{rows[0].pictures:,}", f"{percent(rows[0].first)}  ", *shares)
    return table


def _table(left: str, columns: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table(left, box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    return table
