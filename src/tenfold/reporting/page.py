"""Writes the page: facts, views and plots into one HTML file that needs nothing beside itself."""

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import tenfold
from tenfold.reporting import alarms, charts, closer, facts, plots, views
from tenfold.reporting.pictures import data_uri, thumbnail
from tenfold.runs import Run

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure

_GRID_COLUMNS = 8  # of a gallery's PNG
_GRID_PICTURES = 48


def report(run: Run) -> Path:
    """Writes `report.html` and `plots/*.png` into a run folder, from what the folder holds and nothing else.

    The page is one file without scripts, fonts or addresses of other hosts, so it can be mailed and
    opens offline. Whatever the run lacks (validation, test scores, pictures) is named in a sentence.

    Args:
        run: the run, in any state.

    Returns:
        The path of the page.

    Raises:
        ResourceError: the folder cannot be written to.

    Example:
        >>> from tenfold.runs import open_run
        >>> report(open_run("runs/fast"))  # doctest: +SKIP
        PosixPath('runs/fast/report.html')
    """
    known = facts.read(run)
    splits = [views.split_view(run, name, scores) for name, scores in known.scores.items()]
    samples = views.samples(run, known.class_names)
    html = _template().render(
        facts=known,
        alarms=alarms.find(known),
        splits=splits,
        samples=samples,
        corruptions=closer.corruptions(known.robustness) if known.robustness else [],
        plots={**_curves(run, known), **_scores(run, splits), **_closer(run, known, splits)},
        settings=views.settings(known.config) if known.config else [],
        most_bars=plots.MOST_CLASSES,
        version=tenfold.__version__,
    )
    _grids(run, splits, samples)
    return run.write("report.html", html)


def _curves(run: Run, known: facts.Facts) -> dict[str, dict[str, str]]:
    """Accuracy and loss by epoch; nothing before the first epoch is done."""
    drawn = {}
    for metric in ("accuracy", "loss"):
        if any(metric in row for row in known.history):
            epoch = known.kept.get("epoch") if known.kept and known.finished else None
            drawn[metric] = _draw(run, metric, partial(plots.curves, known.history, metric, kept=epoch))
    return drawn


def _scores(run: Run, splits: list[views.SplitView]) -> dict[str, dict[str, str]]:
    """Bars by class, and the confusion matrices, of every evaluated split."""
    drawn = {}
    for split in splits:
        bars, matrix = f"classes-{split.name}", f"confusion-{split.name}"
        drawn[bars] = _draw(run, bars, partial(plots.class_bars, split.scores["report"], split.names))
        confusion = partial(plots.confusion, split.confusion, split.names)
        if len(split.names) > plots.MOST_NUMBERED:
            drawn[matrix] = _draw(run, matrix, confusion)
        else:  # the page sets a small matrix as a table with links
            run.write(f"plots/{matrix}.png", plots.png(confusion()))
    return drawn


def _closer(run: Run, known: facts.Facts, splits: list[views.SplitView]) -> dict[str, dict[str, str]]:
    """How sure the model is of each split, and what it bears."""
    drawn = {}
    for split in splits:
        if "calibration" not in split.scores:  # a run of before there was calibration
            continue
        before = (
            known.calibration.get("before", {}).get("reliability") if split.name == "validation" else None
        )
        sure, given = f"reliability-{split.name}", f"coverage-{split.name}"
        bins = split.scores["calibration"]["reliability"]
        drawn[sure] = _draw(run, sure, partial(charts.reliability, bins, before))
        chosen = split.scores.get("answered")
        drawn[given] = _draw(run, given, partial(charts.coverage, split.scores["coverage"], chosen))
    told = known.robustness
    for name, curve in told.get("curves", {}).items():
        drawn[name] = _draw(run, name, partial(charts.movement, name, curve, clean=told["accuracy"]))
    return drawn


def _draw(run: Run, name: str, plot: Callable[..., "Figure"]) -> dict[str, str]:
    """Writes `plots/<name>.png`; returns the plot for a light and for a dark page as data URIs."""
    light, dark = plot(theme=plots.LIGHT), plot(theme=plots.DARK)
    run.write(f"plots/{name}.png", plots.png(light))
    return {key: data_uri(plots.svg(figure), "svg+xml") for key, figure in (("light", light), ("dark", dark))}


def _grids(run: Run, splits: list[views.SplitView], samples: list[tuple[str, list[np.ndarray]]]) -> None:
    """The galleries as PNG files; the page itself shows them as single pictures."""
    rows = [(image, plots.short(name)) for name, images in samples for image in images[:_GRID_COLUMNS]]
    grids = {"samples": rows}
    for split in splits:
        for key, answers in (("wrong", split.wrong), ("right", split.right)):
            grids[f"{key}-{split.name}"] = [(answer.image, _caption(split, answer)) for answer in answers]
    for name, pictures in grids.items():
        if pictures:
            images, captions = zip(*pictures[:_GRID_PICTURES], strict=True)
            run.write(f"plots/{name}.png", plots.png(plots.picture_grid(images, captions), dpi=120))


def _caption(split: views.SplitView, answer: views.Answer) -> str:
    true, predicted = plots.short(split.names[answer.true]), plots.short(split.names[answer.predicted])
    if answer.true == answer.predicted:
        return f"{true}\n{answer.confidence:.0%} sure"
    return f"is {true}\nsaid {predicted}\n{answer.confidence:.0%} sure"


def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda share, digits=1: f"{100 * share:.{digits}f}\u00a0%",
        "number": lambda value: f"{value:,}",
        "unbroken": lambda text: text.replace(" %", "\u00a0%"),
        "quoted": shlex.quote,
        "duration": views.duration,
        "magnitude": views.magnitude,
        "rows": views.table,
        "thumbnail": thumbnail,
    }
    return environment.get_template("page.html")
