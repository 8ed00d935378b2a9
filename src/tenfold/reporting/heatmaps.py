"""Explanations as figures: a heat map over its picture, filters, feature maps, the map of the features.

Each function takes what `explanation` returns and gives a matplotlib Figure, in the manner of `plots`.
"""

from typing import TYPE_CHECKING

import numpy as np

from tenfold.reporting.plots import LIGHT, Theme

if TYPE_CHECKING:  # explanation imports Keras, which a report does without
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tenfold.explanation import Explanation, Neighbour, Overview

HEAT = "inferno"  # dark to bright at an even pace, for all eyes and in greyscale print

_METHODS = {
    "layercam": "LayerCAM",
    "gradcam++": "Grad-CAM++",
    "gradcam": "Grad-CAM",
    "occlusion": "Occlusion",
}
_A_ROW = 8  # neighbours
_MOST_FILTERS = 64
_DARKEST = 0.35  # where the colours of the heat begin: darker ones would hide the picture


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A heat map over its picture, the picture in grey, so that every colour is heat.

    Args:
        image: uint8 (h, w, 3).
        heat: float32 (h, w), 0 to 1.

    Returns:
        uint8 (h, w, 3).
    """
    from matplotlib import colormaps

    grey = (image @ np.array([0.299, 0.587, 0.114]) / 255)[..., None].repeat(3, axis=-1)
    share = 0.85 * heat[..., None]
    colours = colormaps[HEAT](_DARKEST + (1 - _DARKEST) * heat)[..., :3]
    return (255 * ((1 - share) * grey + share * colours)).round().astype(np.uint8)


def explained(explanation: "Explanation", *, theme: Theme = LIGHT) -> "Figure":
    """A picture, what speaks for the class, the most probable classes, and similar training pictures."""
    near = explanation.nearest
    rows = -(-len(near) // _A_ROW)
    below = 1.5 * rows + 0.35 if near else 0.0
    height = 3.4 + below
    figure = _figure(9.6, height, theme)
    figure.set_layout_engine(None)  # every part has its place

    def box(left: float, bottom: float, width: float, tall: float) -> "Axes":
        """Axes at a place given in inches."""
        return figure.add_axes((left / 9.6, bottom / height, width / 9.6, tall / height), facecolor="none")

    side, base = 2.5, below + 0.52
    tall, wide = explanation.image.shape[:2]
    seen = box(0.2, base, side, side)
    _picture(seen, explanation.image, theme)
    _caption(seen, _short(explanation.path.name, 28), f"as the model sees it: {wide} x {tall} pixels", theme)
    hot = box(0.2 + side + 0.25, base, side, side)
    _picture(hot, overlay(explanation.image, explanation.heat), theme)
    name, share = explanation.explained
    hottest, coolest = (f"{covered:.0%}" for covered in explanation.covered)
    _caption(
        hot,
        f"what speaks for {_short(name, 20)}",
        f"{_METHODS[explanation.method]}. From {share:.0%} to {hottest} with the hottest\n"
        f"quarter covered, to {coolest} with the coolest",
        theme,
    )
    _bars(box(7.05, base, 2.3, side), explanation, theme)
    if near:
        figure.text(
            0.2 / 9.6,
            (below - 0.12) / height,
            "Training pictures that the model finds most similar",
            color=theme.ink,
            fontsize=10,
            va="center",
        )
    for place, item in enumerate(near):
        row, column = divmod(place, _A_ROW)
        _neighbour(box(0.2 + 1.16 * column, below - 1.3 - 1.5 * row, 1.06, 1.06), item, theme)
    return figure


def _neighbour(axes: "Axes", item: "Neighbour", theme: Theme) -> None:
    _picture(axes, item.image, theme)
    for y, text, colour in (
        (-0.04, f"{_short(item.label, 12)} {item.similarity:.2f}", theme.ink),
        (-0.19, _short(item.id, 16), theme.muted),
    ):
        axes.text(
            0.5,
            y,
            text,
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=7.5,
            color=colour,
            parse_math=False,
        )


def _bars(axes: "Axes", explanation: "Explanation", theme: Theme) -> None:
    names = [_short(name, 18) for name, _ in explanation.top]
    shares = [share for _, share in explanation.top]
    colours = [
        theme.orange if name == explanation.explained[0] else theme.blue for name, _ in explanation.top
    ]
    bars = axes.barh(range(len(names)), shares, color=colours, height=0.55)
    axes.bar_label(bars, [f"{share:.1%}" for share in shares], padding=4, color=theme.ink, fontsize=9)
    axes.set_yticks(range(len(names)), names, fontsize=9.5, color=theme.ink)
    for tick in axes.get_yticklabels():
        tick.set_parse_math(False)
    axes.set_ylim(max(len(names), 3) - 0.4, -0.6)
    axes.set_xlim(0, 1.3)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.axvline(0, color=theme.grid, linewidth=1)
    axes.set_title("most probable classes", color=theme.ink, fontsize=10, loc="left")


def filters(kernels: np.ndarray, *, theme: Theme = LIGHT) -> "Figure":
    """The first convolution's kernels, as `Overview.filters` holds them; the first 64 of more."""
    kernels = kernels[:_MOST_FILTERS]
    columns = min(12, len(kernels))
    rows = -(-len(kernels) // columns)
    figure = _figure(max(5.2, 0.62 * columns + 0.2), 0.58 * rows + 0.4, theme)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, kernel in zip(grid.ravel(), kernels, strict=False):
        _picture(axes, kernel, theme)
    tall, wide = kernels.shape[1:3]
    _headline(figure, f"First filters, {wide} x {tall} pixels; grey is 0", theme)
    return figure


def feature_maps(overview: "Overview", *, theme: Theme = LIGHT) -> "Figure":
    """What each resolution of a model makes of a few pictures: a row a picture and resolution."""
    pictures, stages = overview.images, overview.maps
    columns = max(item.shape[-1] for item in stages)
    rows = len(pictures) * len(stages)
    figure = _figure(0.8 * (columns + 1) + 0.9, 0.8 * rows + 0.5, theme)
    grid = figure.subplots(rows, columns + 1, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for number, picture in enumerate(pictures):
        for depth, stage in enumerate(stages):
            line = grid[number * len(stages) + depth]
            if not depth:
                _picture(line[0], picture, theme)
            tall, wide = stage.shape[1:3]
            line[0].text(
                -0.1,
                0.5,
                f"{wide} x {tall}",
                transform=line[0].transAxes,
                ha="right",
                va="center",
                fontsize=8,
                color=theme.muted,
            )
            for axes, channel in zip(line[1:], np.moveaxis(stage[number], -1, 0), strict=False):
                _picture(axes, channel, theme, cmap="gray")
    _headline(figure, "Feature maps, from the first resolution to the last", theme)
    return figure


def feature_map(overview: "Overview", *, theme: Theme = LIGHT) -> "Figure":
    """The map of the features: a point a picture, coloured by its true class; mistakes are crosses."""
    figure = _figure(7.6, 6.4, theme)
    axes = figure.add_subplot(facecolor="none")
    axes.set_axis_off()
    right = overview.labels == overview.predicted
    colours = _colours(len(overview.class_names))
    for marker, chosen, size, opacity in (("o", right, 9, 0.55), ("X", ~right, 30, 1.0)):
        axes.scatter(
            overview.points[chosen, 0],
            overview.points[chosen, 1],
            c=colours[overview.labels[chosen]],
            marker=marker,
            s=size,
            alpha=opacity,
            linewidths=0.4 if marker == "X" else 0,
            edgecolors=theme.ink if marker == "X" else "none",
        )
    for number, name in enumerate(overview.class_names):
        own = overview.points[overview.labels == number]
        if len(own):
            x, y = np.median(own, axis=0)
            box = {"facecolor": theme.paper, "edgecolor": colours[number], "alpha": 0.85, "pad": 2.5}
            axes.text(
                x,
                y,
                _short(name),
                ha="center",
                va="center",
                fontsize=10,
                color=theme.ink,
                bbox=box,
                parse_math=False,
            )
    _headline(
        figure,
        f"{len(right):,} {overview.split} pictures; those that the model finds similar lie together.\n"
        f"Crosses are its {int((~right).sum()):,} mistakes, in the colour of the true class. "
        "Distances between groups mean little.",
        theme,
    )
    return figure


def _colours(count: int) -> np.ndarray:
    """(count, 4) colours; up to ten that all eyes tell apart best, more by hue."""
    from matplotlib import colormaps

    return (
        colormaps["tab10"](np.arange(count))
        if count <= 10
        else colormaps["turbo"](np.linspace(0.05, 0.95, count))
    )


def _short(name: str, longest: int = 14) -> str:
    """A name that fits; a long one keeps its beginning and end."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def _picture(axes: "Axes", image: np.ndarray, theme: Theme, cmap: str | None = None) -> None:
    axes.set_axis_on()
    axes.imshow(image, interpolation="nearest" if max(image.shape[:2]) <= 64 else None, cmap=cmap)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(color=theme.grid, linewidth=0.8)  # a white picture on a white page has an edge too


def _caption(axes: "Axes", above: str, below: str, theme: Theme) -> None:
    axes.set_title(above, color=theme.ink, fontsize=10, loc="left", parse_math=False)
    axes.text(0, -0.03, below, transform=axes.transAxes, ha="left", va="top", fontsize=8, color=theme.muted)


def _headline(figure: "Figure", text: str, theme: Theme) -> None:
    figure.suptitle(text, color=theme.ink, fontsize=10, x=0.01, ha="left")


def _figure(width: float, height: float, theme: Theme) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure
