"""Name what is on pictures: a table, JSON lines or CSV."""

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import tyro

from tenfold.cli import backends, faults
from tenfold.cli.progress import percent, tables
from tenfold.errors import DataError, ResourceError, UsageError

if TYPE_CHECKING:
    from tenfold.abstention import Threshold
    from tenfold.prediction import Prediction


@dataclass(frozen=True)
class Options:
    """Name what is on pictures. A picture that cannot be read is named on stderr and skipped; exit code 3."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    sources: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Files, folders and patterns such as 'photos/*.jpg'."""
    topk: int = 3
    """How many classes to list for each picture."""
    max_error: str | None = None
    """Withhold answers (`not sure`) so that at most this share of those given is wrong, such as 2%, by the
    run's validation pictures; and those to pictures unlike all that the run was trained on."""
    views: Literal["none", "flip", "shift"] = "none"
    """Answer with the mean of several views of each picture: mirrored, or mirrored and moved by a pixel."""
    engine: backends.EngineName = "auto"
    """What computes the answers. `auto`: the fastest one installed; Keras where --backend is given."""
    precision: Literal["auto", "float32", "int8"] = "auto"
    """`auto` takes bfloat16 where that is faster and probabilities stay within about 0.04 of float32.
    `int8` may be faster still and names up to a few pictures in a hundred otherwise."""
    format: Literal["table", "json", "jsonl", "csv"] = "table"
    """`json` and `jsonl` are the same: one JSON object a line, one line a picture."""
    output: Path | None = None
    """File to write to, instead of the screen."""
    backend: Literal["auto", "torch", "tensorflow", "jax"] = "auto"
    """Keras backend. `auto`: KERAS_BACKEND where set, else torch."""


def run(options: Options) -> int:
    """Predicts and writes; 3 where any picture failed."""
    if not options.sources:
        raise UsageError("Nothing to predict. Expected pictures too: tenfold predict RUN cat.jpg photos/")
    backends.choose(options.backend)
    from tenfold import config, runs
    from tenfold.prediction import Failure, Predictor

    opened = runs.open_run(options.run)
    failed = 0

    def good() -> Iterator["Prediction"]:
        nonlocal failed
        for item in predictor.files(options.sources, top=options.topk, views=options.views):
            if isinstance(item, Failure):
                failed += 1
                faults.say(item.reason)
            else:
                yield item

    with faults.logged(opened.path):
        engine = backends.engine(options.engine, options.backend)
        wanted = None if options.max_error is None else config.share(options.max_error)
        predictor = Predictor(opened, engine=engine, precision=options.precision, max_error=wanted)
        if predictor.threshold is not None:
            faults.say(_told(predictor.threshold))
        with _target(options.output) as file:
            write(good(), options.format, file)
    return DataError.exit_code if failed else 0


def _told(chosen: "Threshold") -> str:
    return (
        f"Not sure below {percent(chosen.confidence)} confidence: of the {chosen.pictures:,} validation "
        f"pictures {percent(chosen.coverage)} got an answer, and {percent(chosen.error)} of those were wrong."
    )


@contextlib.contextmanager
def _target(path: Path | None) -> Iterator[TextIO]:
    """Where results go: the screen, or a file that appears only when it is complete."""
    if path is None:
        yield sys.stdout
        return
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise ResourceError(f"Cannot write {path}: {error.strerror}. Choose another --output.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write(predictions: Iterator["Prediction"], form: str, file: TextIO) -> None:
    """Writes predictions as they come, or as one table at the end.

    Args:
        predictions: in order.
        form: "table", "json", "jsonl" or "csv".
        file: takes the text.
    """
    if form == "table":
        show(predictions, file)
    elif form == "csv":
        for number, item in enumerate(predictions):
            if not number:
                ranks = range(2, len(item.top) + 1)
                more = [f"{what}_{rank}" for rank in ranks for what in ("label", "probability")]
                file.write(_row(["path", "label", "confidence", "doubt", "familiarity", *more]))
            rest = [value for name, share in item.top[1:] for value in (name, f"{share:.6f}")]
            known = "" if item.familiarity is None else f"{item.familiarity:.4f}"
            file.write(_row([str(item.path), item.label, f"{item.confidence:.6f}", item.doubt, known, *rest]))
    else:
        for item in predictions:
            file.write(json.dumps(_object(item), ensure_ascii=False) + "\n")


def _row(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _object(item: "Prediction") -> dict[str, object]:
    top = [{"label": name, "probability": round(share, 6)} for name, share in item.top]
    more: dict[str, object] = {}
    if item.familiarity is not None:
        more["familiarity"] = round(item.familiarity, 4)
    if item.doubt:
        more["doubt"] = item.doubt
    confidence = round(item.confidence, 6)
    return {"path": str(item.path), "label": item.label, "confidence": confidence, **more, "top": top}


def show(predictions: Iterable["Prediction"], file: TextIO | None = None) -> None:
    """Draws a table of predictions."""
    from rich.table import Table
    from rich.text import Text

    table = Table("picture", "label", "confidence", "then", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"
    table.columns[2].justify = "right"
    for item in predictions:
        shown = item.top if item.doubt else item.top[1:]
        then = ", ".join(f"{name} {percent(share)}" for name, share in shown)
        then += f" ({item.doubt})" if item.doubt else ""
        table.add_row(Text(str(item.path)), Text(item.label), percent(item.confidence), Text(then))
    if table.row_count:
        tables(file).print(table)
