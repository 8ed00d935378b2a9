"""The plots of a study: how its trials went, and which settings mattered; in the manner of the report's."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tenfold.reporting.plots import LIGHT, Theme, blank, framed
from tenfold.tuning.space import brief
from tenfold.tuning.study import Study, library

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

FEWEST = 8
"""Finished trials below which nothing is said of what mattered."""


def importance(opened: "optuna.Study") -> dict[str, float]:
    """How much each setting had to do with a trial being among the best, as shares of 1, largest first.

    Which settings the best trials have in common that the others do not, by PED-ANOVA; the best are five
    trials, or a tenth where that is more. A setting whose every value does equally well has no share. From
    some dozens of trials it is a hint, not a measurement. Empty below `FEWEST` finished trials.

    Source: S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA", IJCAI 2023, arXiv:2304.10255.
    """
    optuna = library()
    finished = opened.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(finished) < FEWEST:
        return {}
    share = max(0.1, 5 / len(finished))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # all trials may have the same score: then it says so
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
        return dict(optuna.importance.get_param_importances(opened, evaluator=evaluator))


def history(study: Study, *, theme: Theme = LIGHT) -> "Figure":
    """Validation accuracy of the trials in their order, and of the best so far.

    Args:
        study: with a finished trial at least.
        theme: colours.
    """
    from matplotlib.ticker import MaxNLocator

    axes = framed(figure := blank(6.4, 3.4, theme), theme)
    short = [
        trial for trial in study.trials if trial.state in ("pruned", "cut") and trial.accuracy is not None
    ]
    for trials, label, colour, filled in (
        (short, "stopped early", theme.muted, False),
        (study.finished, "finished", theme.blue, True),
    ):
        axes.scatter(
            [trial.number for trial in trials],
            [100 * (trial.accuracy or 0.0) for trial in trials],
            s=26,
            edgecolors=colour,
            facecolors=colour if filled else "none",
            label=label if trials else None,
            zorder=3,
        )
    numbers: list[int] = []
    best: list[float] = []
    for trial in study.finished:
        numbers.append(trial.number)
        best.append(max([100 * (trial.accuracy or 0.0), *best[-1:]]))
    axes.step(
        [*numbers, study.trials[-1].number],
        [*best, best[-1]],
        where="post",
        color=theme.orange,
        linewidth=1.5,
        label="best so far",
    )
    if first := study.first:
        start = 100 * (first.accuracy or 0.0)
        axes.axhline(start, color=theme.muted, linewidth=1, linestyle=":", label="start", zorder=0)
    axes.set_title("Validation accuracy by trial", color=theme.ink, fontsize=11, loc="left")
    axes.set_xlabel("trial", color=theme.muted)
    axes.set_ylabel("accuracy, %", color=theme.muted)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    figure.legend(loc="outside lower left", ncols=4, frameon=False, labelcolor=theme.ink, fontsize=9)
    return figure


def bars(shares: Mapping[str, float], *, theme: Theme = LIGHT) -> "Figure":
    """What `importance` found, as bars, the largest on top."""
    names = list(shares)[::-1]
    axes = framed(figure := blank(5.2, 0.9 + 0.28 * len(names), theme), theme)
    axes.barh([brief(name) for name in names], [100 * shares[name] for name in names], color=theme.blue)
    axes.set_title("What the best trials have in common", color=theme.ink, fontsize=11, loc="left")
    axes.set_xlabel("share of all settings, %", color=theme.muted)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure
