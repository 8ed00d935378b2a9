"""Measure how accuracy grows with more pictures, and how many more are needed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from tenfold.cli import backends, command, train
from tenfold.cli.progress import Progress, Style, duration, emit, percent, tables
from tenfold.config import share
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.learningcurve import Curve, Part


@dataclass(frozen=True)
class Options(train.Options):
    """Train on growing shares of the training pictures and foretell what more of them would bring.

    All shares are scored on the same validation pictures, and each lies within the next. They get the same
    number of steps, so that they differ by their pictures alone; with --time the same time. The same command
    again goes on where it was stopped. Leaves curve.json, curve.png and the runs in runs/curve-NAME. Test
    pictures are not looked at.
    """

    shares: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SHARE")] = ("10%", "25%", "50%", "100%")
    """Of the training pictures; three or more."""
    seeds: int = 1
    """Trainings at each share, with seeds from --seed on: narrows the intervals."""
    target: str | None = None
    """Accuracy to reach, such as 95%: how many pictures would it take?"""


def start(words: list[str]) -> Options:
    """The options to start from: those of the recipe and config file named among the words."""
    return Options(settings=train.start(words).settings)


def run(options: Options) -> int:
    """Measures what is missing, prints the curve and what it foretells."""
    config = train.resolve(options)
    target = None if options.target is None else _accuracy(options.target)
    shares = [share(text) for text in options.shares]
    backends.choose(config.backend)
    backends.load()
    from tenfold import learningcurve
    from tenfold.reporting.plots import png
    from tenfold.runs import Run

    style: Style = "json" if options.json else "quiet" if options.quiet else "human"
    console = Progress(style).console
    words: dict[str, Any] = {
        "shares": shares,
        "seeds": options.seeds,
        "runs": options.runs,
        "name": options.name,
    }
    parts = learningcurve.parts(config, **words)
    pending = [part for part in parts if options.exist_ok or not part.finished]
    if style != "quiet" or options.dry_run:
        seconds = learningcurve.expected(pending)
        told = f"{len(pending)} trainings of {len(parts)} to do, about {duration(seconds)} in all."
        console.print(told, markup=False)
        if options.json:
            emit("plan", trainings=len(pending), seconds=round(seconds, 1))
    if options.dry_run:
        return 0
    curve = learningcurve.learning_curve(
        config, **words, exist_ok=options.exist_ok, train=lambda part: _bring_to_its_end(part, style)
    )
    Run(curve.path).write("curve.png", png(learningcurve.chart(curve, target=target)))
    answer = None if target is None else curve.answer(target)
    if options.json:
        emit("curve", **curve.to_dict(), answer=answer, folder=str(curve.path))
    else:
        _show(curve, parts, answer)
    return 0


def _accuracy(text: str) -> float:
    """A wanted accuracy, held to its range before hours of training."""
    wanted = share(text)
    if not 0 < wanted < 1:
        raise UsageError(f"target must lie between 0 and 100%, such as 95%. Received: target={text}")
    return wanted


def _bring_to_its_end(part: "Part", style: Style) -> None:
    """Trains one part, or goes on with it."""
    from tenfold import training
    from tenfold.learningcurve import resumable

    with Progress(style, part.config.monitor) as progress:
        progress(f"{part.config.fraction:.3g} of the training pictures, seed {part.config.seed}")
        if resumable(part):
            training.resume(part.path, listen=progress)
            return
        folder, name = part.path.parent, part.path.name
        words: dict[str, Any] = {"exist_ok": True, "command": command.line(), "listen": progress}
        training.train(part.config, runs=folder, name=name, **words)


def _show(curve: "Curve", parts: "list[Part]", answer: str | None) -> None:
    """The points, what the power law foretells, the answer and the files."""
    from rich.table import Table

    table = Table("pictures", "right on validation", "95 % interval", "", box=None, pad_edge=False)
    for column in table.columns[:3]:
        column.justify = "right"
    for point, part in zip(curve.points, parts, strict=True):
        table.add_row(f"{point.pictures:,}", percent(1 - point.error), "", str(part.path))
    for step in curve.to_dict()["projection"][1:]:
        error = step["error"]
        bounds = f"{100 * (1 - error['high']):.1f} to {percent(1 - error['low'])}"
        table.add_row(f"{step['pictures']:,}", percent(1 - error["middle"]), bounds, "foretold")
    print()
    tables().print(table)
    floor = curve.fit.floor
    print(
        f"\nWith ever more pictures: {percent(1 - floor.middle)} (95 % interval "
        f"{100 * (1 - floor.high):.1f} to {percent(1 - floor.low)})."
    )
    if answer is not None:
        print(answer)
    print(f"Kept:   {curve.path / 'curve.json'}\nPlot:   {curve.path / 'curve.png'}")
