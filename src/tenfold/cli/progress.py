"""How a training run looks while it runs: a live line in a terminal, plain lines elsewhere, or JSON lines."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # callbacks imports Keras, which takes seconds
    from tenfold.callbacks import Download, Moment, Reading

_QUIET_SECONDS = 30.0  # between plain lines within an epoch
_JSON_SECONDS = 1.0  # between JSON objects within an epoch
_LIVE_SECONDS = 0.1  # between changes of the live line

Style = Literal["human", "json", "quiet"]


class Progress:
    """Draws what `training.train` reports to its listener. Use as a context: `with Progress() as listen`.

    Args:
        style: "human" draws on `console`, live where that is a terminal; "json" also writes one object a
            line on stdout; "quiet" draws nothing.
        monitor: the metric that `Moment.best` is the best value of.
        console: where people read; stdout, or stderr for "json" when None.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        style: Style = "human",
        monitor: str = "val_accuracy",
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._style = style
        self.console = console or Console(stderr=style == "json", highlight=False, soft_wrap=True)
        self._monitor = monitor
        self._live: Live | None = None
        self._clock = clock
        self._spoke = {"plain": clock(), "json": clock(), "live": 0.0}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_live()

    def __call__(self, event: "Moment | Download | Reading | str") -> None:
        from tenfold.callbacks import Download, Reading  # loaded by now: whoever reports is using it

        if self._style == "json":
            self._emit(event)
        if self._style == "quiet":
            return
        if isinstance(event, str):
            self.console.print(event, markup=False)
        elif isinstance(event, Download | Reading):
            if isinstance(event, Download):
                state, title = self._bytes(event), "downloading"
            else:
                state, title = f"{event.done:,} of {event.total:,}", event.title
            self._show(state, title, event.done, event.total)
            if event.done == event.total:
                self._end_live()
        elif event.epoch_ended:
            self.console.print(self._epoch_line(event), markup=False)
            self._spoke["plain"] = self._clock()
            if event.epoch == event.epochs:
                self._end_live()
        else:
            self._show(self._state(event), f"epoch {event.epoch}/{event.epochs}", event.step, event.steps)

    def count(self, title: str, done: int, total: int, state: str = "") -> None:
        """How far something other than training has come; `state` says it in other words than in numbers."""
        if self._style != "quiet":
            self._show(state or f"{done} of {total}", title, done, total)

    def _show(self, state: str, title: str, done: int, total: int) -> None:
        """Where something stands that is not at its end: on the live line, or now and then on a line."""
        if self.console.is_interactive:
            if self._due("live", _LIVE_SECONDS):
                self._draw(title, done, total, state)
        elif self._due("plain", _QUIET_SECONDS):
            self.console.print(f"{title} {done / max(total, 1):4.0%}  {state}", markup=False)

    def _draw(self, title: str, done: int, total: int, state: str) -> None:
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=total or None, completed=done, width=20)
        row.add_row(title, bar, Text(state, overflow="ellipsis", no_wrap=True))
        self._live.update(row, refresh=True)

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _epoch_line(self, moment: "Moment") -> str:
        return f"epoch {moment.epoch:>{len(str(moment.epochs))}}/{moment.epochs}  {self._state(moment)}"

    def _bytes(self, event: "Download") -> str:
        return f"{event.done / 1e6:,.1f} of {event.total / 1e6:,.1f} MB"

    def _state(self, moment: "Moment") -> str:
        parts = [f"{moment.images_per_second:,.0f} images/s"]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            if name in moment.metrics:
                parts.append(f"{name.replace('val_', 'val ')} {_shown(name, moment.metrics[name])}")
        if moment.best is not None:
            parts.append(f"best {_shown(self._monitor, moment.best)}")
        if moment.seconds_left is not None:
            parts.append(f"{duration(moment.seconds_left)} left")
        return "  ".join(parts)

    def _emit(self, event: "Moment | Download | Reading | str") -> None:
        if isinstance(event, str):
            emit("note", text=event)
        elif getattr(event, "epoch_ended", False):
            emit("epoch", **dataclasses.asdict(event))
        elif self._due("json", _JSON_SECONDS):
            kinds = {"Download": "download", "Reading": "reading", "Looking": "looking"}
            emit(kinds.get(type(event).__name__, "progress"), **dataclasses.asdict(event))

    def _due(self, what: str, seconds: float) -> bool:
        now = self._clock()
        if now - self._spoke[what] < seconds:
            return False
        self._spoke[what] = now
        return True


def emit(event: str, **content: object) -> None:
    """Writes one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps({"event": event, **content}, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def _shown(metric: str, value: float) -> str:
    # The monitor may also be "last", whose best value is an accuracy.
    return f"{value:.3f}" if "loss" in metric else percent(value)


def percent(share: float) -> str:
    """A share as people read it.

    Example:
        >>> percent(0.9237)
        '92.4 %'
    """
    return f"{share:.1%}".replace("%", " %")


def tables(file: TextIO | None = None) -> Console:
    """A console for tables: as wide as the terminal, or as wide as need be where there is none."""
    console = Console(file=file, highlight=False)
    return console if console.is_terminal else Console(file=file, highlight=False, width=10_000)


def duration(seconds: float) -> str:
    """A time span as people read it.

    Example:
        >>> duration(75), duration(7260)
        ('1:15', '2:01:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
