"""The plot of a bench, in the style of the report's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tenfold.reporting.plots import LIGHT, Theme, blank, framed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tenfold.bench.contest import Row


def chart(rows: "Sequence[Row]", *, theme: Theme = LIGHT) -> "Figure":
    """Milliseconds for one picture, up to the 99th percentile, beside pictures a second in large batches.

    Args:
        rows: of a bench; those that could not be measured are left out.
        theme: colours.
    """
    from matplotlib.ticker import NullFormatter

    good: list[Any] = [row for row in rows if row.latency_p50 is not None]
    names = list(dict.fromkeys(row.name for row in good))
    counts = sorted({row.threads for row in good})
    colours = (theme.blue, theme.orange, theme.green, *[theme.muted] * len(counts))
    figure = blank(9.0, 1.3 + 0.5 * len(names), theme)
    waits, rates = framed(figure, theme, (1, 2, 1)), framed(figure, theme, (1, 2, 2))
    thick = 0.7 / max(1, len(counts))
    for turn, count in enumerate(counts):
        own = [row for row in good if row.threads == count]
        at = [names.index(row.name) + thick * (turn + 0.5) - 0.35 for row in own]
        median, slow = ([1000 * getattr(row, name) for row in own] for name in ("latency_p50", "latency_p99"))
        waits.hlines(at, median, slow, color=colours[turn], linewidth=1.5)
        label = f"{count} thread{'s' if count > 1 else ''}"
        waits.plot(median, at, "o", color=colours[turn], markersize=6, label=label)
        rates.barh(at, [row.images_per_second["256"] for row in own], 0.85 * thick, color=colours[turn])
    waits.set_xscale("log")
    waits.xaxis.set_major_formatter("{x:g}")
    waits.xaxis.set_minor_formatter(NullFormatter())
    rates.xaxis.set_major_formatter("{x:,.0f}")
    titles = ((waits, "One picture, ms: median, to 99 %"), (rates, "Pictures a second, in batches of 256"))
    for axes, title in titles:
        axes.set_yticks(range(len(names)), names if axes is waits else [""] * len(names))
        axes.set_ylim(len(names) - 0.5, -0.5)  # the first on top
        axes.set_title(title, color=theme.ink, fontsize=10, loc="left")
        axes.tick_params(axis="y", length=0)
        axes.tick_params(which="minor", color=theme.grid)
        axes.grid(axis="x", color=theme.grid, linewidth=0.8)
        axes.set_axisbelow(True)
    figure.legend(
        loc="outside lower left", ncols=max(1, len(counts)), frameon=False, labelcolor=theme.ink, fontsize=9
    )
    return figure
