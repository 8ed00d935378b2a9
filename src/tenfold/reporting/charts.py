"""Plots of how sure a model is and of what it bears; in the manner of `plots`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.reporting.plots import LIGHT, Theme, blank, framed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability(
    after: Mapping[str, Sequence[float]],
    before: Mapping[str, Sequence[float]] | None = None,
    *,
    theme: Theme = LIGHT,
) -> "Figure":
    """Share of right answers against confidence; on the dotted line the two agree.

    Args:
        after: `confidence`, `accuracy` and `count` of each bin, as `reliability.Reliability` has them.
        before: the same without calibration, where it is known.
        theme: colours.
    """
    axes = framed(figure := blank(4.2, 3.4, theme), theme)
    axes.plot([0, 100], [0, 100], ":", color=theme.muted, linewidth=1, zorder=0)
    series = ((before, "before", theme.muted, "--", 0), (after, "calibrated", theme.blue, "-", 1))
    for told, label, colour, dash, sized in series:
        if told:
            shares = 100 * np.array(told["confidence"]), 100 * np.array(told["accuracy"])
            axes.plot(*shares, dash, color=colour, linewidth=1.5, label=label)
            counts = np.array(told["count"])
            axes.scatter(
                *shares, s=12 + sized * 90 * np.sqrt(counts / counts.max()), color=colour, alpha=0.85
            )
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 104)
    axes.set_title("Right answers by confidence", color=theme.ink, fontsize=11, loc="left")
    axes.set_xlabel("confidence, %", color=theme.muted)
    axes.set_ylabel("right, %", color=theme.muted)
    axes.grid(color=theme.grid, linewidth=0.8)
    if before:
        axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="upper left")
    return figure


def coverage(
    told: Mapping[str, Sequence[float]], chosen: Mapping[str, float] | None = None, *, theme: Theme = LIGHT
) -> "Figure":
    """Wrong answers among those given, against how many pictures get one.

    Args:
        told: `coverage` and `error`, as `abstention.Coverage` has them.
        chosen: `coverage` and `error` of the threshold that was asked for; marked with a ring.
        theme: colours.
    """
    axes = framed(figure := blank(4.2, 3.4, theme), theme)
    axes.plot(100 * np.array(told["coverage"]), 100 * np.array(told["error"]), color=theme.blue, linewidth=2)
    if chosen:
        at = 100 * chosen["coverage"], 100 * chosen["error"]
        axes.plot(*at, "o", color=theme.orange, markersize=8, markerfacecolor="none", markeredgewidth=2)
    axes.set_xlim(0, 102)
    axes.set_ylim(bottom=0)
    axes.set_title("Wrong answers by share answered", color=theme.ink, fontsize=11, loc="left")
    axes.set_xlabel("pictures that get an answer, surest first, %", color=theme.muted)
    axes.set_ylabel("wrong among these, %", color=theme.muted)
    axes.grid(color=theme.grid, linewidth=0.8)
    return figure


def movement(name: str, told: Mapping[str, Any], *, clean: float, theme: Theme = LIGHT) -> "Figure":
    """Accuracy of pictures that are moved, turned or scaled by growing amounts.

    Args:
        name: of the change.
        told: `unit`, `at` and `accuracy`, as `robustness.json` has them.
        clean: accuracy of the pictures as they are, 0 to 1; a dotted line.
        theme: colours.
    """
    axes = framed(figure := blank(3.2, 2.6, theme), theme)
    axes.axhline(100 * clean, color=theme.muted, linewidth=1, linestyle=":", zorder=0)
    axes.plot(told["at"], 100 * np.array(told["accuracy"]), "o-", color=theme.blue, markersize=4)
    axes.set_ylim(0, 104)
    axes.set_title(name.capitalize(), color=theme.ink, fontsize=11, loc="left")
    axes.set_xlabel(told["unit"], color=theme.muted)
    axes.set_ylabel("right, %", color=theme.muted)
    axes.grid(color=theme.grid, linewidth=0.8)
    return figure
