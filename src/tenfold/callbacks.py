"""What happens between the steps of a training run, as Keras callbacks.

`Progress` turns Keras' calls into `Moment`s that any listener can draw; it prints nothing itself.
"""

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import keras
import numpy as np

from tenfold.errors import GateError
from tenfold.runs import Run


@dataclass(frozen=True)
class Moment:
    """Where a training run stands.

    Attributes:
        epoch: the running epoch, from 1.
        epochs: how many are planned; in a run by the clock, how many are expected by now.
        step: steps done in this epoch.
        steps: steps an epoch.
        images_per_second: training speed of this epoch so far, validation left out.
        seconds: since training began.
        seconds_left: estimate for the whole rest of the run, validation included; None until known. In a
            run by the clock, what is left of the promised time.
        metrics: loss and accuracy so far; at an epoch's end val_loss and val_accuracy too, where there
            is a validation split, and learning_rate.
        best: the best value of the monitored metric so far; None before the first validation.
        epoch_ended: True once an epoch, with its final metrics.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    images_per_second: float
    seconds: float
    seconds_left: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    epoch_ended: bool = False


@dataclass(frozen=True)
class Download:
    """How far a download has come.

    Attributes:
        done: bytes on disk.
        total: bytes in all.
    """

    done: int
    total: int


@dataclass(frozen=True)
class Reading:
    """How far the decoding of pictures has come.

    Attributes:
        done: pictures that are decoded.
        total: pictures of the split.
    """

    title: ClassVar[str] = "reading pictures"

    done: int
    total: int


@dataclass(frozen=True)
class Looking(Reading):
    """How far a frozen network has come with the features of pictures."""

    title: ClassVar[str] = "computing features"


Listener = Callable[[Moment | Download | Reading | str], None]
"""Told where a run stands; strings are plain sentences for the user."""


def tellers(listen: Listener) -> tuple[Callable[[int, int], None], Callable[[int, int], None]]:
    """What tells a listener of a download, and of the decoding of pictures, as `splits.read` takes them."""
    return lambda done, total: listen(Download(done, total)), lambda done, total: listen(Reading(done, total))


class Clock(Protocol):
    """What a run by the clock knows of its own end; `budget.Budget` is one."""

    @property
    def epochs(self) -> int:
        """How many are expected."""

    @property
    def left(self) -> float:
        """Seconds until the promised time is up."""


class Best(keras.callbacks.Callback):
    """Remembers the weights of the best epoch, hands them on as soon as they are found, and stops early.

    Args:
        monitor: "val_accuracy", "val_loss", or "last" for whichever epoch came last. Without a validation
            split every epoch counts as the last, and nothing stops early.
        keep: called with the model after every epoch whose weights are remembered.
        patience: ends the run after this many epochs without a better value of `monitor` (of the
            validation accuracy for "last"); 0 never does.
        due: tells of an epoch, from 0, whether to look at it at all.

    Attributes:
        value: the best value so far; None before the first validation.
        value_epoch: its epoch, from 1.
        epoch: the remembered epoch, from 1.
        weights: its weights; None before the first epoch has ended.
    """

    def __init__(
        self,
        monitor: str,
        keep: Callable[[keras.Model], None],
        patience: int = 0,
        due: Callable[[int], bool] = lambda epoch: True,
    ):
        super().__init__()
        self.monitor = monitor
        self.watched = "val_accuracy" if monitor == "last" else monitor
        self.keep = keep
        self.patience = patience
        self.due = due
        self.value: float | None = None
        self.value_epoch = 0
        self.epoch = 0
        self.weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not self.due(epoch):
            return
        value = (logs or {}).get(self.watched)
        if value is not None and self._better(value):
            self.value, self.value_epoch = float(value), epoch + 1
        if value is None or self.monitor == "last" or self.value_epoch == epoch + 1:
            self.epoch = epoch + 1
            self.weights = self.model.get_weights()
            self.keep(self.model)
        if self.patience and value is not None and epoch + 1 - self.value_epoch >= self.patience:
            self.model.stop_training = True

    def get_state(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        facts = {"value": self.value, "value_epoch": self.value_epoch, "epoch": self.epoch}
        return facts, self.weights or []

    def set_state(self, facts: dict[str, Any], arrays: list[np.ndarray]) -> None:
        self.value, self.value_epoch, self.epoch = facts["value"], facts["value_epoch"], facts["epoch"]
        self.weights = arrays

    def _better(self, value: float) -> bool:
        if self.value is None:
            return True
        return value < self.value if self.watched == "val_loss" else value > self.value


class Progress(keras.callbacks.Callback):
    """Tells a listener where the run stands, a few times a second at most, and keeps the history.

    Args:
        run: its history.csv is rewritten after every epoch.
        images: pictures an epoch.
        batch_size: pictures a step.
        best: whose value and epoch are reported.
        listen: receives the moments.
        clock: of a run by the clock.
    """

    interval = 0.25  # seconds between two moments within an epoch

    def __init__(
        self,
        run: Run,
        images: int,
        batch_size: int,
        best: Best,
        listen: Callable[[Moment], None],
        clock: Clock | None = None,
    ):
        super().__init__()
        self.run = run
        self.images = images
        self.batch_size = batch_size
        self.best = best
        self.listen = listen
        self.clock = clock
        self.history: list[dict[str, Any]] = []
        self.seen = 0  # pictures, over all finished epochs
        self.trained = 0.0  # seconds of training alone, over all finished epochs
        self.before = 0.0  # seconds of an earlier process, where the run was resumed
        self.last_told = 0.0
        self.start = time.perf_counter()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.start = time.perf_counter() - self.before

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch_start = self.epoch_trained = time.perf_counter()
        self.epoch = epoch
        self.step = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        now = self.epoch_trained = time.perf_counter()
        self.step = batch + 1
        if now - self.last_told >= self.interval:
            self.last_told = now
            self.listen(self._moment(logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.trained += self.epoch_trained - self.epoch_start
        self.seen += self._seen()
        metrics = {"learning_rate": float(self.model.optimizer.learning_rate), **(logs or {})}
        moment = self._moment(metrics, ended=True)
        row = {"epoch": epoch + 1, "seconds": moment.seconds, "images_per_second": moment.images_per_second}
        self.history.append(row | {name: float(value) for name, value in metrics.items()})
        text = io.StringIO()
        columns = dict.fromkeys(name for line in self.history for name in line)  # not each is validated
        writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows([{k: f"{v:.6g}" for k, v in line.items()} for line in self.history])
        self.run.write("history.csv", text.getvalue())
        self.listen(moment)

    def get_state(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        facts = {"history": self.history, "trained": self.trained, "seen": self.seen}
        return {**facts, "seconds": self.seconds}, []

    def set_state(self, facts: dict[str, Any], arrays: list[np.ndarray]) -> None:
        self.history, self.trained, self.before = facts["history"], facts["trained"], facts["seconds"]
        self.seen = facts["seen"]

    @property
    def seconds(self) -> float:
        """Since training began."""
        return time.perf_counter() - self.start

    @property
    def images_per_second(self) -> float:
        """Training speed over all finished epochs, validation left out."""
        return self.seen / self.trained if self.trained else 0.0

    @property
    def epochs(self) -> float:
        """How often every picture was seen, a last part of an epoch included."""
        return self.seen / self.images

    def _seen(self) -> int:
        return min(self.step * self.batch_size, self.images)

    def _moment(self, metrics: dict[str, float], ended: bool = False) -> Moment:
        now = time.perf_counter()
        steps = math.ceil(self.images / self.batch_size)
        seen = self._seen()
        seconds = self.epoch_trained - self.epoch_start
        speed = seen / seconds if seconds else 0.0
        planned = self.clock.epochs if self.clock else self.params["epochs"]
        left = None
        if self.clock:
            left = self.clock.left
        elif ended:
            left = (now - self.start) / (self.epoch + 1) * (planned - self.epoch - 1)
        elif speed:
            # What an epoch spends outside training (validation, saving) is known once one has ended.
            outside = (self.epoch_start - self.start - self.trained) / self.epoch if self.epoch else 0.0
            rest = self.images * (planned - self.epoch) - seen
            left = rest / speed + outside * (planned - self.epoch)
        return Moment(
            epoch=self.epoch + 1,
            epochs=planned,
            step=self.step,
            steps=steps,
            images_per_second=speed,
            seconds=now - self.start,
            seconds_left=left,
            metrics={name: float(value) for name, value in metrics.items()},
            best=self.best.value,
            epoch_ended=ended,
        )


class Diverged(keras.callbacks.Callback):
    """Ends a run whose loss is no number any more, with advice instead of a useless model."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            rate = float(self.model.optimizer.learning_rate)
            raise GateError(
                f"Training diverged: the loss of epoch {epoch + 1} is {loss}. "
                f"Lower --learning-rate (it was {rate:.3g} at that point)."
            )
