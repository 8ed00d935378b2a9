"""The plots of a report. Each function takes plain data and returns a matplotlib Figure.

Figures are drawn through matplotlib's object interface, without pyplot, so a plot in one thread cannot
disturb another. Backgrounds are transparent and colours come from a `Theme`, so that each plot can stand
on a light and on a dark page.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


@dataclass(frozen=True)
class Theme:
    """Colours of a plot: the page behind it, words, lines, and three series that all eyes tell apart."""

    paper: str
    ink: str
    muted: str
    grid: str
    blue: str
    orange: str
    green: str


LIGHT = Theme("#ffffff", "#1c2430", "#5b6675", "#dfe4ea", "#2458d3", "#c2570c", "#0f7b62")
DARK = Theme("#171c24", "#e8ecf2", "#a3adbb", "#333c49", "#7fa6ff", "#f59e5b", "#4fc7a5")

MOST_CLASSES = 20  # bars of more classes would be too thin to read
MOST_NUMBERED = 20  # cells of a larger confusion matrix have no room for numbers
_LONGEST_NAME = 14


def curves(
    history: Sequence[Mapping[str, float]], metric: str, *, kept: float | None = None, theme: Theme = LIGHT
) -> "Figure":
    """Training and validation values of one metric over the epochs.

    Args:
        history: one mapping an epoch, with "epoch", `metric` and, where there is validation, "val_" + metric.
        metric: "accuracy" (drawn in per cent) or "loss".
        kept: the epoch whose model was kept; marked with a line.
        theme: colours.
    """
    from matplotlib.ticker import MaxNLocator

    axes = framed(figure := blank(4.2, 2.9, theme), theme)
    scale = 100 if metric == "accuracy" else 1
    series = ((metric, "training", theme.blue, "-"), (f"val_{metric}", "validation", theme.orange, "--"))
    for column, label, colour, dash in series:
        points = [(row["epoch"], scale * row[column]) for row in history if column in row and "epoch" in row]
        points = [point for point in points if np.isfinite(point[1])]
        if points:
            x, y = zip(*points, strict=True)
            marker = "o" if len(points) <= 15 else None
            axes.plot(x, y, dash, color=colour, label=label, linewidth=2, marker=marker, markersize=4)
    if kept is not None:
        axes.axvline(kept, color=theme.muted, linewidth=1, linestyle=":", label="kept model", zorder=0)
    axes.set_title(f"{metric.capitalize()} by epoch", color=theme.ink, fontsize=11, loc="left")
    axes.set_xlabel("epoch", color=theme.muted)
    axes.set_ylabel(f"{metric}, %" if scale == 100 else metric, color=theme.muted)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9)
    return figure


def confusion(matrix: np.ndarray, class_names: Sequence[str], *, theme: Theme = LIGHT) -> "Figure":
    """Confusion matrix: true classes down, predicted classes across, shaded by share of the true class.

    Right answers are blue and mistakes orange; mistakes are shaded more strongly, or a good model's
    would be invisible.

    Args:
        matrix: int (c, c), pictures of the row's class that got the column's answer.
        class_names: c names.
        theme: colours.
    """
    from matplotlib.colors import to_rgb

    matrix = np.asarray(matrix)
    count = len(matrix)
    side = min(9.0, 2.4 + 0.42 * count)
    axes = framed(figure := blank(side + 0.6, side, theme), theme)
    colours = np.where(np.eye(count, dtype=bool)[..., None], to_rgb(theme.blue), to_rgb(theme.orange))
    axes.imshow(np.concatenate([colours, opacity(matrix)[..., None]], axis=-1), interpolation="nearest")
    names = [short(name) for name in class_names]
    size = 9 if count <= MOST_NUMBERED else max(3.5, 9 * MOST_NUMBERED / count)
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if count <= MOST_NUMBERED:
        for true, predicted in zip(*np.nonzero(matrix), strict=True):
            text = f"{matrix[true, predicted]:,}"
            axes.text(predicted, true, text, ha="center", va="center", color=theme.ink, fontsize=8)
    large = max(1.0, side / 6)  # a large figure is shown smaller
    axes.set_xlabel("predicted", color=theme.muted, fontsize=10 * large)
    axes.set_ylabel("true", color=theme.muted, fontsize=10 * large)
    axes.set_title("Confusion matrix", color=theme.ink, fontsize=11 * large, loc="left")
    _plain_text([*axes.get_xticklabels(), *axes.get_yticklabels()])
    return figure


def opacity(matrix: np.ndarray) -> np.ndarray:
    """How strongly to shade each cell of a confusion matrix, (c, c) 0 to 0.6: words stay readable on it."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(matrix), dtype=bool)
    mistakes = np.where(right, 0, shares)
    return np.where(right, 0.55 * shares, 0.6 * np.sqrt(mistakes / max(mistakes.max(), 0.05)))


def class_bars(report: Mapping[str, Any], class_names: Sequence[str], *, theme: Theme = LIGHT) -> "Figure":
    """Precision, recall and F1 of each class as bars, best F1 on top.

    Args:
        report: scikit-learn's `classification_report` as a dict.
        class_names: the classes to draw; of more than twenty, the twenty with the lowest F1.
        theme: colours.
    """
    names = [name for name in class_names if isinstance(report.get(name), Mapping)]
    names = sorted(names, key=lambda name: report[name]["f1-score"])[:MOST_CLASSES]
    axes = framed(figure := blank(4.2, 1.0 + 0.35 * len(names), theme), theme)
    rows = np.arange(len(names))
    series = (("precision", theme.blue), ("recall", theme.orange), ("f1-score", theme.green))
    for place, (key, colour) in enumerate(series):
        values = [100 * report[name][key] for name in names]
        label = "F1" if key == "f1-score" else key
        axes.barh(rows + 0.26 * (1 - place), values, height=0.22, color=colour, label=label)
    axes.set_yticks(rows, [short(name) for name in names], fontsize=9)
    axes.set_ylim(-0.6, max(len(names), 1) - 0.4)
    axes.set_xlim(0, 100)
    axes.set_xlabel("%", color=theme.muted)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper left", ncols=3, frameon=False, labelcolor=theme.ink, fontsize=9)
    _plain_text(axes.get_yticklabels())
    return figure


def picture_grid(
    images: Sequence[np.ndarray], captions: Sequence[str], *, columns: int = 8, theme: Theme = LIGHT
) -> "Figure":
    """Pictures in rows, each with one or two lines of words below it.

    Args:
        images: n of uint8 (h, w, 3), at least one.
        captions: n texts.
        columns: pictures a row.
        theme: colours.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    gap = 0.1 + 0.16 * (1 + max(caption.count("\n") for caption in captions))  # in sides of a picture
    figure = blank(1.2 * columns, 1.1 * (1 + gap) * rows, theme)
    figure.set_layout_engine(None)
    axes = figure.add_axes((0, 0.01, 1, 0.98))
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, bottom = 1.09 * (place % columns), -(1 + gap) * (place // columns)
        height, width = np.array(image.shape[:2]) / max(image.shape[:2])
        extent = (left + 0.5 - width / 2, left + 0.5 + width / 2, bottom, bottom + height)
        axes.imshow(image, extent=extent, interpolation="nearest" if max(image.shape) <= 64 else None)
        text = axes.text(
            left + 0.5, bottom - 0.05, caption, ha="center", va="top", fontsize=8, color=theme.ink
        )
        text.set_parse_math(False)
    axes.set_axis_off()
    axes.set_xlim(0, 1.09 * columns)
    axes.set_ylim(-(1 + gap) * (rows - 1) - gap, 1)
    return figure


def png(figure: "Figure", dpi: int = 160) -> bytes:
    """The figure as a PNG file with its theme's background, for a folder, a mail or a slide."""
    return _save(figure, format="png", dpi=dpi, metadata={"Software": None})


def svg(figure: "Figure") -> bytes:
    """The figure as an SVG file with a transparent background, the same bytes at every call."""
    nothing = {"Creator": None, "Date": None, "Format": None, "Type": None}
    return _save(figure, format="svg", metadata=nothing, transparent=True)


def short(name: str) -> str:
    """A class name that fits beside an axis or under a picture; a long one keeps its beginning and end."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _save(figure: "Figure", **options: Any) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "tenfold"}):
        # A class name in a script that matplotlib's font lacks is drawn as boxes; the page has it as text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        if figure.get_layout_engine() is not None:  # placed once, not twice for every file
            figure.draw_without_rendering()
            figure.set_layout_engine(None)
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def blank(width: float, height: float, theme: Theme) -> "Figure":
    """An empty figure of a size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def framed(figure: "Figure", theme: Theme, place: tuple[int, int, int] = (1, 1, 1)) -> "Axes":
    """Axes with two sides, at a place among rows and columns."""
    axes = figure.add_subplot(*place, facecolor="none")
    axes.tick_params(colors=theme.muted, labelcolor=theme.ink, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.grid)
    return axes


def _plain_text(texts: Sequence["Text"]) -> None:
    """A class may be called "$x"; matplotlib would take that for a formula."""
    for text in texts:
        text.set_parse_math(False)
