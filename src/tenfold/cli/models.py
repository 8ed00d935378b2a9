"""List the architectures, or show one: size, speed, accuracy, options."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from tenfold import zoo
from tenfold.cli import backends
from tenfold.cli.progress import Progress, percent, tables
from tenfold.errors import UsageError, unknown

if TYPE_CHECKING:
    from rich.table import Table


_NEXT = (
    "Pretrained ones, of Keras Applications: tenfold train DATA --backbone NAME",
    "Options and layers of one: tenfold models MODEL",
)


@dataclass(frozen=True)
class Options:
    """List the architectures that --model takes, with what was measured of them; or show one of them, with
    its options and layers.
    """

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")] = None
    """Show this one."""
    measure: bool = False
    """Measure here how fast they train, or this one does: a few seconds each. Run nothing else meanwhile."""
    json: bool = False
    """Print one JSON object an architecture."""


def run(options: Options) -> int:
    """Prints the table, or all about one architecture. Without --measure the table needs no Keras."""
    if options.name is not None and options.name not in zoo.ABOUT:
        raise UsageError(unknown("model", options.name, zoo.ABOUT))
    chosen = [options.name] if options.name else list(zoo.ABOUT)
    known = zoo.figures()
    speeds = _measured(chosen, options.json) if options.measure else {}
    if options.json:
        for name in chosen:
            inside = _inside(name) if options.name else {}
            print(json.dumps(_facts(name, known.get(name), speeds.get(name)) | inside, ensure_ascii=False))
    elif options.name:
        _show(options.name, known.get(options.name), speeds.get(options.name))
    else:
        tables().print(_table(known, speeds))
        print("\n" + "\n".join([*_notes(known, here=bool(speeds)), *_NEXT]))
    return 0


def _measured(names: list[str], quiet: bool) -> dict[str, float]:
    """Images a second of training, found here and now."""
    backends.choose()
    backends.load()
    from tenfold.planning import training_speed

    found = {}
    with Progress("quiet" if quiet else "human") as progress:
        for number, name in enumerate(names):
            progress.count("measuring", number, len(names))
            found[name], _ = training_speed(name)
    return found


def _facts(name: str, figures: zoo.Figures | None, here: float | None) -> dict[str, Any]:
    line, paper = zoo.ABOUT[name]
    facts: dict[str, Any] = {"name": name, "description": line, "paper": paper or None}
    facts |= {} if figures is None else asdict(figures)
    return facts | ({} if here is None else {"images_per_second_here": round(here, 1)})


def _table(known: dict[str, zoo.Figures], here: dict[str, float]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    columns = ["parameters", "FLOPs", "images/s"]
    if any(figures.score for figures in known.values()):
        columns.append("15 minutes")
    table = Table("model", *columns, "what", "paper", box=None, pad_edge=False)
    for column in table.columns[1 : 1 + len(columns)]:
        column.justify = "right"
    for name, (line, paper) in zoo.ABOUT.items():
        numbers = _numbers(known.get(name), here.get(name))[: len(columns)]
        table.add_row(name, *numbers, Text(line), paper)
    return table


def _numbers(figures: zoo.Figures | None, here: float | None) -> list[str]:
    """Parameters, FLOPs, images a second, accuracy; a dash for what is not known."""
    if figures is None:
        return ["-", "-", "-" if here is None else f"{here:,.0f}", "-"]
    speed = here if figures.speed is None or here is not None else figures.speed.images_per_second
    return [
        f"{figures.parameters:,}",
        f"{figures.flops / 1e6:,.1f} M",
        "-" if speed is None else f"{speed:,.0f}",
        "-" if figures.score is None else percent(figures.score.accuracy),
    ]


def _notes(known: dict[str, zoo.Figures], *, here: bool) -> list[str]:
    """What the columns mean, and which machine the figures are of."""
    speeds = zoo.machines(figures.speed for figures in known.values())
    scores = zoo.machines(figures.score for figures in known.values())
    notes = ["FLOPs: of a forward pass for one picture of 32 x 32 pixels. images/s: in training."]
    if here:
        notes.append("images/s were measured here and now.")
    elif speeds:
        notes.append(f"images/s: {'; '.join(speeds)}. Measure them here: tenfold models --measure")
    else:
        notes.append("Measure images/s here: tenfold models --measure")
    if scores:
        notes.append(f"15 minutes: CIFAR-10 test accuracy of one run of `--time 15m`; {'; '.join(scores)}.")
    return notes


def _show(name: str, figures: zoo.Figures | None, here: float | None) -> None:
    """Prints all about one architecture."""
    from rich.table import Table

    line, paper = zoo.ABOUT[name]
    print(f"{name}: {line}{f' ({paper})' if paper else ''}.\n")
    inside = _inside(name)
    print(f"{inside['documentation']}\n")
    parameters, flops, speed, accuracy = _numbers(figures, here)
    scored = "" if accuracy == "-" else f", {accuracy} in 15 minutes"
    print(f"{parameters} parameters, {flops} FLOPs, {speed} images/s{scored}.")
    print("\n".join(_notes({} if figures is None else {name: figures}, here=here is not None)) + "\n")
    options = Table("option", "default", box=None, pad_edge=False)
    for option, value in inside["options"].items():
        options.add_row(option, str(value))
    tables().print(options)
    print(f"\nChange one: tenfold train --model {name} --model-options OPTION=VALUE\n")
    layers = Table("layer", "kind", "output", "parameters", box=None, pad_edge=False)
    layers.columns[-1].justify = "right"
    for layer in inside["layers"]:
        shape = " x ".join(map(str, layer["output"]))
        layers.add_row(layer["name"], layer["kind"], shape, f"{layer['parameters']:,}")
    tables().print(layers)


def _inside(name: str) -> dict[str, Any]:
    """What only the built model tells: its documentation, options, and layers as they are saved."""
    backends.choose()
    backends.load()
    import inspect

    from tenfold import models

    model = models.build(name, (32, 32, 3), 10)
    builder = models.BUILDERS[name]
    layers = [
        {
            "name": layer.name,
            "kind": type(layer).__name__,
            "output": list(layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in model.layers
    ]
    documentation = inspect.getdoc(getattr(builder, "func", builder))  # resnet56 is resnet with a depth
    return {"options": models.defaults(name), "documentation": documentation, "layers": layers}
