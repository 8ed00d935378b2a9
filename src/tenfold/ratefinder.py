"""A good learning rate, found in seconds: one short training whose rate rises from step to step.

Too small a rate learns nothing, too large a one destroys what was learned; between them the loss falls. The
range test of L. N. Smith ("Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186), which
fastai made known as `lr_find`, walks through all of them with the recipe's own model, optimizer and batches.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tenfold import distillation, preparation, proxy, splits, transfer
from tenfold.batches import Batches
from tenfold.callbacks import Download, Listener, Reading
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.errors import GateError, UsageError
from tenfold.reporting.plots import LIGHT, Theme, blank, framed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURES = 25_600  # that a search looks at
_DIVERGED = 4.0  # times the lowest loss so far: beyond it nothing comes back
_FADE = 0.9  # of the running mean that notices divergence, a step
_SMOOTH = 0.04  # of all steps, either side of a step, that its smoothed loss is the mean of
_EDGE = 0.1  # of the fall, above and below, that does not count as falling
_REAL = 2.0  # times what a loss changes by chance from step to step, which a fall must exceed


@dataclass(frozen=True)
class RateSearch:
    """What a range test found.

    Attributes:
        rates: float64 (n,), the learning rates that were tried, rising.
        losses: float64 (n,), the loss of each step's batch before that step, in nats.
        smoothed: float64 (n,), the same, each the mean of its neighbours.
        suggested: the peak rate to train with: the upper end of `falling`, the largest rate at which the loss
            still falls. It is for a rate that is lowered towards the end of the run; one that stays is
            better off with `steepest`.
        falling: the rates between which the loss falls: the middle four fifths of its fall.
        steepest: the rate at which it falls fastest.
        lowest: the rate at which it is lowest.
        diverged: the rate at which the loss left all bounds; None where the highest rate was reached.
        own: the learning rate of the settings.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggested: float
    falling: tuple[float, float]
    steepest: float
    lowest: float
    diverged: float | None
    own: float

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {name: _plain(value) for name, value in vars(self).items()}

    def __str__(self) -> str:
        end = "" if self.diverged is None else f"; it diverged at {self.diverged:.2g}"
        return (
            f"Suggested learning rate: {self.suggested:.2g}, up to which the loss falls, from "
            f"{self.falling[0]:.2g} on{end}. More cautious, for a rate that stays constant: "
            f"{self.steepest:.2g}, where it falls fastest. The settings have {self.own:.3g}."
        )


def find_rate(
    settings: Config,
    *,
    lowest: float = 1e-5,
    highest: float = 10.0,
    steps: int | None = None,
    listen: Listener = lambda event: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RateSearch:
    """Tries rising learning rates on a model that is thrown away afterwards.

    The batches are those that a run with these settings would begin with, small pictures and teacher among
    them. Neither validation nor test pictures are looked at. The suggestion is a peak rate, for a run whose
    rate falls towards its end.

    Args:
        settings: of the run that the rate is for; its own rate and schedule are left aside.
        lowest: the first rate, above 0.
        highest: the last one; most models diverge before.
        steps: how many rates, 20 or more, evenly on the logarithmic scale; by default as many batches as
            25,600 pictures make, but 100 to 800.
        listen: receives what there is to tell before the first step, such as a download's state.
        progress: told how many of the steps are done.

    Raises:
        UsageError: `lowest`, `highest` or `steps` out of range, or as `training.train`.
        DataError: data that cannot be used.
        GateError: the loss fell at no rate.

    Example:
        >>> print(find_rate(recipe("tiny")))                          # doctest: +SKIP
        Suggested learning rate: 0.0011, up to which the loss falls, from 8.2e-05 on ...
    """
    if not 0 < lowest < highest < math.inf:
        raise UsageError(
            f"Rates must rise from above 0. Received: lowest={lowest:g}, highest={highest:g}. "
            "Expected e.g. --lowest 1e-5 --highest 10"
        )
    if steps is None:
        steps = min(800, max(100, _PICTURES // settings.batch_size))
    if steps < 20:
        raise UsageError(f"steps must be 20 or more. Received: steps={steps}")
    settings, dataset, model = _begun(settings, listen)
    with distillation.visiting(settings, dataset) as teacher:
        batches = Batches(
            dataset,
            settings,
            one_hot=settings.soft_labels,
            clock=lambda: 0.0,
            teach=teacher,
            choose=proxy.beside(settings, dataset),
        )
        rates = np.geomspace(lowest, highest, steps)
        losses, diverged = _swept(model, batches, rates, progress)
    return judged(rates[: len(losses)], losses, diverged=diverged, own=settings.learning_rate)


def _begun(settings: Config, listen: Listener) -> tuple[Config, Dataset, keras.Model]:
    """Settings with all decided and no schedule, the training pictures, and the model that learns."""
    settings, reason = preparation.resolve(settings)
    preparation.set_up(settings)
    # The learning rate of a network that has learnt before is that of its new head, which has no teacher.
    if settings.transfers:
        settings = dataclasses.replace(settings, freeze=None, teacher=None)
    settings, _ = transfer.settle(settings, reason)
    parts = splits.read(
        settings,
        lambda done, total: listen(Download(done, total)),
        reading=lambda done, total: listen(Reading(done, total)),
    )
    settings = dataclasses.replace(settings, image_size=parts.train.images.shape[1])
    settings = preparation.fit_model(settings, parts.train)
    settings = dataclasses.replace(settings, schedule="constant", warmup=0.0, time=None)
    if own := preparation.adopt(settings, parts.train):
        settings = own.applied(settings)
        return settings, parts.train, preparation.build(settings, parts.train, own)
    settings, model = transfer.begin(settings, parts.train, listen)
    return settings, parts.train, model


def _swept(
    model: keras.Model, batches: Batches, rates: np.ndarray, progress: Callable[[int, int], None]
) -> tuple[np.ndarray, float | None]:
    """The loss of a step at each rate, and the rate at which it left all bounds."""
    losses: list[float] = []
    mean = weight = 0.0
    best = math.inf
    for step, rate in enumerate(rates):
        batches.epoch, place = divmod(step, len(batches))
        model.optimizer.learning_rate = float(rate)
        loss = float(model.train_on_batch(*batches[place])[0])
        mean, weight = _FADE * mean + (1 - _FADE) * loss, _FADE * weight + 1 - _FADE
        best = min(best, mean / weight)
        if not mean / weight <= _DIVERGED * best:  # so that nan ends it too
            return np.array(losses), float(rate)
        losses.append(loss)
        progress(step + 1, len(rates))
    return np.array(losses), None


def judged(rates: np.ndarray, losses: np.ndarray, *, diverged: float | None, own: float) -> RateSearch:
    """What the losses at rising rates say about the rate to train with; see `RateSearch`.

    Args:
        rates: (n,), rising evenly on the logarithmic scale.
        losses: (n,), of one step each, all finite.
        diverged: the rate that ended the test, or None.
        own: the learning rate of the settings.

    Raises:
        GateError: the loss falls nowhere.
    """
    smoothed = _smoothed(losses)
    low = int(smoothed.argmin()) if len(losses) else 0
    before = smoothed[: low + 1]
    top, bottom = (before.max(), before[-1]) if len(losses) else (0.0, 0.0)
    early = losses[: max(low + 1, len(losses) // 3)]  # later, steps too large to settle change more
    noise = float(np.median(np.abs(np.diff(early)))) if len(early) > 1 else 0.0
    if not top - bottom > _REAL * noise:
        raise GateError(
            "The loss fell at none of these learning rates. Expected: a fall somewhere between --lowest and "
            f"--highest. Received: {len(losses)} steps, losses from {top:.4g} to {bottom:.4g}, "
            f"diverged={diverged}. Try more --steps or a wider range, or look at the data: tenfold doctor"
        )
    fall = top - bottom
    first = int(np.flatnonzero(before >= top - _EDGE * fall)[-1])
    last = first + int(np.flatnonzero(before[first:] <= bottom + _EDGE * fall)[0])
    slopes = np.gradient(smoothed, np.log(rates))[first : last + 1]
    return RateSearch(
        rates=rates,
        losses=losses,
        smoothed=smoothed,
        suggested=float(rates[last]),
        falling=(float(rates[first]), float(rates[last])),
        steepest=float(rates[first + int(slopes.argmin())]),
        lowest=float(rates[low]),
        diverged=diverged,
        own=own,
    )


def chart(found: RateSearch, *, theme: Theme = LIGHT) -> "Figure":
    """The loss over the rate, with the suggestion.

    Args:
        found: by `find_rate`.
        theme: colours.
    """
    axes = framed(figure := blank(6.4, 3.8, theme), theme)
    axes.plot(found.rates, found.losses, ".", color=theme.muted, markersize=3, label="each step")
    axes.plot(found.rates, found.smoothed, color=theme.blue, linewidth=2, label="smoothed")
    axes.axvspan(*found.falling, color=theme.blue, alpha=0.08, linewidth=0)
    marks = (
        (found.suggested, f"suggested, {found.suggested:.2g}", theme.orange, "-"),
        (found.own, f"of the settings, {found.own:.3g}", theme.green, "--"),
    )
    for rate, label, colour, dash in marks:
        axes.axvline(rate, color=colour, linestyle=dash, linewidth=1.5, label=label)
    axes.set_xscale("log")
    low = found.smoothed.argmin()
    start = found.smoothed[: low + 1].max()
    fall = start - found.smoothed[low]
    # What comes after the loss has left its bounds would press the rest flat.
    axes.set_ylim(found.smoothed[low] - 0.2 * fall, start + 0.6 * fall)
    axes.set_xlabel("learning rate", color=theme.muted)
    axes.set_ylabel("loss", color=theme.muted)
    axes.set_title("Loss while the learning rate rises", color=theme.ink, fontsize=11, loc="left")
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9)
    return figure


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Each the mean of its neighbours on both sides; a running mean would lag and suggest too much."""
    reach = max(1, round(_SMOOTH * len(losses)))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    at = np.arange(len(losses))
    start, stop = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(losses))
    return (sums[stop] - sums[start]) / np.maximum(stop - start, 1)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
