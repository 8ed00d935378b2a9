"""The trainings that a learning curve takes, and how long they will."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold import planning
from tenfold.config import Config
from tenfold.errors import UsageError
from tenfold.powerlaw import Point
from tenfold.runs import Run

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Of the training pictures."""


@dataclass(frozen=True)
class Part:
    """One training of a learning curve.

    Attributes:
        path: its run folder.
        config: its settings.
    """

    path: Path
    config: Config

    @property
    def finished(self) -> bool:
        return (self.path / "summary.json").exists()

    @property
    def point(self) -> Point:
        """What it found, once it has finished."""
        run = Run(self.path)
        scores = run.scores("validation") or {}
        return Point(run.data["counts"]["train"], 1 - scores["accuracy"], scores["pictures"])


def parts(
    settings: Config,
    *,
    shares: Sequence[float] = SHARES,
    seeds: int = 1,
    runs: Path = Path("runs"),
    name: str | None = None,
) -> list[Part]:
    """The trainings of a learning curve, smallest first.

    Args:
        settings: of all of them; their seed is the first one's. Epochs and patience are those of a run with
            all pictures, and are stretched for fewer, so that the steps stay as many.
        shares: of the training pictures, three or more, each above 0, up to 1.
        seeds: how many at each share. Another seed means another validation split, too.
        runs: folder that holds all runs.
        name: the curve's folder is `curve-` and this; default the recipe's.

    Raises:
        UsageError: too few shares, one out of range, no seed, no validation pictures, or a name with slashes.
    """
    wanted = sorted(set(shares))
    if len(wanted) < 3 or not all(0 < share <= 1 for share in wanted):
        given = ", ".join(f"{share:g}" for share in shares)
        raise UsageError(
            "A learning curve takes three different shares or more, each above 0, up to 1. "
            f"Received: shares={given}"
        )
    if seeds < 1:
        raise UsageError(f"seeds must be 1 or more. Received: seeds={seeds}")
    if not settings.val_split:
        raise UsageError(
            "A learning curve is of the errors on validation pictures. Expected: --val-split above 0. "
            f"Received: val_split={settings.val_split}"
        )
    title = name or settings.recipe
    if Path(title).name != title:
        raise UsageError(f"A curve's name is one folder name. Received: name={title}. Expected e.g. fast")
    folder = runs / f"curve-{title}"
    return [
        Part(folder / f"{100 * share:g}-s{seed}", _thinned(settings, share, seed))
        for share in wanted
        for seed in range(settings.seed, settings.seed + seeds)
    ]


def expected(pending: Sequence[Part]) -> float:
    """Seconds that trainings will take, after a probe of a few steps of the largest; 0 for none."""
    if not pending:
        return 0.0
    largest = max((part.config for part in pending), key=lambda config: config.fraction)
    if largest.time is not None:
        return float(largest.time) * len(pending)
    plan = planning.plan(largest)
    step = 1 / plan.images_per_second
    whole = step * plan.counts["train"] / largest.fraction
    # A forward pass is about a third of a step.
    checked = step * plan.counts.get("validation", 0) / 3
    return sum(part.config.epochs * (part.config.fraction * whole + checked) for part in pending)


def _thinned(settings: Config, share: float, seed: int) -> Config:
    return dataclasses.replace(
        settings,
        seed=seed,
        fraction=share,
        epochs=round(settings.epochs / share),
        patience=round(settings.patience / share),
    )
