"""The plot of a learning curve, in the style of the report's."""

from typing import TYPE_CHECKING

from tenfold.learningcurve.curve import Curve
from tenfold.reporting.plots import LIGHT, Theme, blank, framed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AHEAD = 4.0  # times the pictures there are: so far the plot looks ahead


def chart(curve: Curve, *, target: float | None = None, theme: Theme = LIGHT) -> "Figure":
    """Error over pictures, both logarithmic, with the power law and its interval beyond what there is.

    Args:
        curve: measured.
        target: an accuracy to mark, between 0 and 1.
        theme: colours.
    """
    from matplotlib.ticker import FixedLocator, NullFormatter

    counts = [point.pictures for point in curve.points]
    least, most = min(counts), max(counts)
    steps = [least * (_AHEAD * most / least) ** (step / 60) for step in range(61)]
    bands = [curve.fit.error(count) for count in steps]
    low, middle, high = ([100 * getattr(band, name) for band in bands] for name in ("low", "middle", "high"))
    axes = framed(figure := blank(6.4, 3.8, theme), theme)
    axes.fill_between(steps, low, high, color=theme.blue, alpha=0.15, linewidth=0, label="95 % interval")
    axes.plot(steps, middle, color=theme.blue, linewidth=2, label="power law")
    errors = [100 * point.error for point in curve.points]
    axes.plot(counts, errors, "o", color=theme.orange, markersize=6, label="measured")
    axes.axvline(most, color=theme.muted, linewidth=1, linestyle=":", label="all there are", zorder=0)
    if target is not None:
        label = f"{100 * target:.3g} % right"
        axes.axhline(100 * (1 - target), color=theme.green, linewidth=1.5, linestyle="--", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted({*counts, _AHEAD * most})))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(which="minor", color=theme.grid, labelcolor=theme.ink, labelsize=8)
    axes.set_xlabel("training pictures", color=theme.muted)
    axes.set_ylabel("wrong on validation, %", color=theme.muted)
    axes.set_title("Learning curve", color=theme.ink, fontsize=11, loc="left")
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9)
    return figure
