"""A learning curve: measured part by part, kept in a folder, asked how many pictures an accuracy takes."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tenfold import training
from tenfold.config import Config
from tenfold.errors import Stopped, UsageError
from tenfold.learningcurve.parts import SHARES, Part, parts
from tenfold.powerlaw import FARTHEST, Fit, Point, fit
from tenfold.runs import Run, create

FILE = "curve.json"


@dataclass(frozen=True)
class Curve:
    """A learning curve, measured.

    Attributes:
        path: the folder with curve.json and the runs of the points.
        points: one a training, in the order of their pictures.
        fit: the power law through them.
    """

    path: Path
    points: tuple[Point, ...]
    fit: Fit

    @property
    def most(self) -> int:
        """Pictures of the largest point."""
        return max(point.pictures for point in self.points)

    def answer(self, target: float) -> str:
        """How many pictures an accuracy on validation takes, in a sentence.

        Args:
            target: above 0, below 1.

        Raises:
            UsageError: the target is out of range.
        """
        if not 0 < target < 1:
            raise UsageError(f"target must lie between 0 and 1, e.g. 95%. Received: target={target:g}")
        now, floor = self.fit.error(self.most), self.fit.floor
        needed = self.fit.pictures(1 - target)
        if now.middle <= 1 - target:
            said = f"{target:.1%} is reached: {1 - now.middle:.1%} with {self.most:,} pictures, by the curve."
        elif needed.middle > FARTHEST * self.most:
            said = (
                f"{target:.1%} is not in sight: it takes over {FARTHEST:.0f} times as many pictures, or no "
                f"number of them is enough, as the curve levels off at {1 - floor.middle:.1%} (95% interval "
                f"{1 - floor.high:.1%} to {1 - floor.low:.1%}). Another recipe may do more."
            )
        else:
            said = (
                f"{target:.1%} takes about {self._count(needed.middle)} training pictures, "
                f"{self._count(needed.middle - self.most)} more than there are (95% interval "
                f"{self._count(needed.low)} to {self._count(needed.high)} in all)."
            )
        return said.replace("%", " %")

    def to_dict(self) -> dict[str, Any]:
        """As curve.json holds it; errors are shares of the validation pictures."""
        ahead = [{"pictures": n, "error": self.fit.error(n)} for n in (f * self.most for f in (1, 2, 4, 10))]
        told = {"points": self.points, "fit": self.fit.to_dict(), "projection": ahead}
        return msgspec.to_builtins(told)

    def _count(self, pictures: float) -> str:
        """With two figures, as more would claim too much."""
        if pictures > FARTHEST * self.most:
            return f"over {FARTHEST:.0f} times as many"
        digits = max(0, math.floor(math.log10(max(pictures, 1))) - 1)
        return f"{round(pictures, -digits):,.0f}"


def learning_curve(
    settings: Config,
    *,
    shares: Sequence[float] = SHARES,
    seeds: int = 1,
    runs: Path = Path("runs"),
    name: str | None = None,
    exist_ok: bool = False,
    train: Callable[[Part], Any] | None = None,
) -> Curve:
    """Trains what is missing of a learning curve and lays the power law through it.

    A part that has finished stays as it is, and one that was stopped goes on, so that the same call can be
    made again after whatever ended it; shares and seeds can be added. Test pictures are not looked at.

    Args:
        settings, shares, seeds, runs, name: as for `parts`.
        exist_ok: train all parts anew, whatever is there.
        train: brings one part to its end; in silence by default.

    Returns:
        The curve; its folder holds it as curve.json.

    Raises:
        UsageError: as `parts`, or the folder holds another curve. Stopped: interrupted. Others: as
        `training.train`.

    Example:
        >>> curve = learning_curve(recipe("tiny"))                        # doctest: +SKIP
        >>> print(curve.answer(0.7))                                      # doctest: +SKIP
        70.0 % takes about 130,000 training pictures, 85,000 more than there are (95 % interval ...).
    """
    wanted = parts(settings, shares=shares, seeds=seeds, runs=runs, name=name)
    folder = wanted[0].path.parent
    told = {"settings": _shared(settings)}
    if exist_ok:
        for part in wanted:
            create(folder, part.path.name, exist_ok=True)
    else:
        _check(folder, told["settings"])
    shelf = Run(folder)  # no run, but what writes whole files into a folder
    shelf.write(FILE, told)
    for part in wanted:
        if not part.finished:
            try:
                (train or _train)(part)
            except Stopped as stop:
                again = "The same command again goes on with the curve."
                raise Stopped(f"{stop} {again}", stop.exit_code) from None
    points = tuple(part.point for part in wanted)
    curve = Curve(folder, points, fit(points))
    shelf.write(FILE, {**told, **curve.to_dict()})
    return curve


def resumable(part: Part) -> bool:
    """Whether a part has been begun so that it can go on."""
    return (part.path / "state" / "epoch.npz").exists()


def _train(part: Part) -> None:
    if resumable(part):
        training.resume(part.path)
    else:
        training.train(part.config, runs=part.path.parent, name=part.path.name, exist_ok=True)


def _shared(settings: Config) -> dict[str, Any]:
    """What all parts of a curve have in common."""
    values = msgspec.to_builtins(settings)
    return {name: value for name, value in values.items() if name not in ("seed", "fraction")}


def _check(folder: Path, settings: dict[str, Any]) -> None:
    """That a folder holds no runs, or those of a curve with these settings."""
    if not any(folder.glob("*/config.yaml")):
        return
    try:
        known = json.loads((folder / FILE).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder} holds runs, without a {FILE} that tells what they are. Choose another --name."
        ) from None
    for name, value in settings.items():
        if known.get(name) != value:
            raise UsageError(
                f"{folder} holds a curve with other settings. Expected: {name}={known.get(name)}. Received: "
                f"{name}={value}. Choose another --name, or --exist-ok to measure it anew."
            )
