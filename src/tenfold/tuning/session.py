"""One process's work on a study: gives out trials, hears how they go, writes down how they end."""

import contextlib
import dataclasses
import queue
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import config as configs
from tenfold import errors, machine
from tenfold.errors import ResourceError, UsageError
from tenfold.tuning import space as spaces
from tenfold.tuning.crew import Inbox, Worker
from tenfold.tuning.study import Settings, State, Study, Trial, library, read

if TYPE_CHECKING:
    import optuna

_DRAWING = 3.0  # seconds at the end of the time for plots and tables, where `machine.slowness` is 1
_TICK = 1.0  # seconds between two `Standing`s while nothing happens
_DEATHS = 3  # processes that may die in a row


@dataclass(frozen=True)
class Standing:
    """Where a study stands.

    Attributes:
        study: with all its trials.
        ended: the trial that has just ended; None in between.
        seconds_left: until the promised time is up; None where none is promised.
    """

    study: Study
    ended: Trial | None
    seconds_left: float | None


Listener = Callable[[Standing | str], None]
"""Told where a study stands; strings are plain sentences for the user."""


class Session:
    """One process's work on a study.

    Args:
        path: the study folder.
        settings: what the study does.
        opened: its database.
        listen: told what happens.
        started: when this session's clock started, in terms of `time.perf_counter`.
    """

    def __init__(
        self, path: Path, settings: Settings, opened: "optuna.Study", listen: Listener, started: float
    ):
        self.path = path
        self.settings = settings
        self.opened = opened
        self.listen = listen
        self.started = started
        self.distributions = spaces.distributions(settings.space)
        self.inbox: Inbox = queue.SimpleQueue()
        self.crew: list[Worker] = []
        self.running: dict[Worker, tuple[optuna.Trial, float]] = {}  # and when it began
        known = self.read()
        self.spent, self.ended = known.seconds, known.ended
        self.best = known.best.rank if known.best else None
        self.shortest = min((trial.seconds for trial in known.finished), default=0.0)
        self.drawing = _DRAWING * machine.slowness()  # takes a moment to find, and `left` is asked often
        self.noticed: set[str] = set()
        self.deaths = 0
        # Trials follow each other without these, and MLflow would keep a record beside folders that go.
        self.config = dataclasses.replace(settings.config, tensorboard=False, mlflow=False)

    @property
    def seconds(self) -> float:
        """Spent on the study by all sessions."""
        return self.spent + time.perf_counter() - self.started

    @property
    def left(self) -> float:
        """Seconds for trials."""
        if self.settings.time is None:
            return float("inf")
        return self.settings.time - self.seconds - self.drawing

    def read(self) -> Study:
        return read(self.path, self.settings, self.opened)

    def run(self) -> None:
        """Trains until the number of trials or the time is reached."""
        self._recover()
        try:
            while len(self.crew) < self.settings.workers and self._may_start():
                self._next(self._hire())
            while self.running:
                self._hear()
        finally:
            for worker in self.crew:
                worker.end()
            shutil.rmtree(self.path / "trials", ignore_errors=True)
            self.opened.set_user_attr("seconds", self.seconds)
            self.read().write()

    def _recover(self) -> None:
        """Has trials that an earlier process left behind tried again, and the first one tried at all."""
        optuna = library()
        left = self.opened.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        for trial in left:
            self.opened.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            values = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            self.opened.enqueue_trial(values, user_attrs={"first": trial.user_attrs.get("first", False)})
        if left:
            self.listen(f"Trials that ran when the study was left, and are tried again: {len(left)}.")
        if not any(trial.first for trial in self.read().trials):
            start = {name: dimension.start for name, dimension in self.settings.space.items()}
            self.opened.enqueue_trial(start, user_attrs={"first": True})
        shutil.rmtree(self.path / "trials", ignore_errors=True)

    def _may_start(self) -> bool:
        counted = self.ended + len(self.running)
        planned = self.settings.trials is None or counted < self.settings.trials
        return planned and self.left > self.shortest / 2  # a trial may well be quicker than all before it

    def _hire(self) -> Worker:
        worker = Worker(self.inbox, self.config.backend, self.settings.threads, self.path / "workers.log")
        self.crew.append(worker)
        return worker

    def _dismiss(self, worker: Worker) -> str:
        self.crew.remove(worker)
        return worker.end()

    def _next(self, worker: Worker) -> None:
        """Gives a worker its next trial, or lets it go."""
        while self._may_start():
            trial = self.opened.ask(self.distributions)
            self.running[worker] = trial, time.perf_counter()
            try:
                config = spaces.apply(self.config, trial.params)
            except UsageError as error:
                self._end(worker, "failed", str(error))
                continue
            worker.say(
                config=configs.to_yaml(config),
                folder=str(self.path / "trials"),
                name=str(trial.number),
                command=f"tenfold tune: trial {trial.number} of {self.path}",
            )
            return
        self._dismiss(worker)

    def _hear(self) -> None:
        """Waits a moment for what a worker says, and acts on it; at the end of the time stops all of them."""
        try:
            worker, message = self.inbox.get(timeout=max(0.0, min(_TICK, self.left)))
        except queue.Empty:
            if self.left <= 0:
                for worker in list(self.running):
                    self._end(worker, "cut", "The time of the study was up.")
                    self._dismiss(worker)
            else:
                self._tell(None)
            return
        if worker not in self.running:
            return
        trial, _ = self.running[worker]
        match message:
            case None:
                self._bury(worker)
            case {"notes": notes}:
                self.running[worker] = trial, time.perf_counter()  # from here on it trains
                for note in dict.fromkeys(note for note in notes if note not in self.noticed):
                    self.noticed.add(note)
                    self.listen(note)
            case {"epoch": epoch, "accuracy": accuracy}:
                trial.report(accuracy, epoch)
                worker.say(go_on=not self._unpromising(trial, epoch))
                self._tell(None)
            case {"accuracy": accuracy, "interval": interval, "epochs": epochs}:
                self._end(worker, "finished", accuracy=accuracy, interval=interval, epochs=epochs)
                self._next(worker)
            case {"stopped": True}:
                self._end(worker, "pruned", "Below the median of the finished trials at that epoch.")
                self._next(worker)
            case {"error": kind, "message": text}:
                first = trial.user_attrs.get("first", False)
                if kind in ("DataError", "MissingExtraError") or (first and kind == "UsageError"):
                    raise getattr(errors, kind)(text)
                if first and kind == "TenfoldError":
                    raise errors.TenfoldError(f"{text}. The traceback is in {self.path / 'workers.log'}")
                self._end(worker, "failed", text)
                self._next(worker)

    def _unpromising(self, trial: "optuna.Trial", epoch: int) -> bool:
        # Epochs of runs by the clock cannot be compared: each has its own share of the falling rate.
        comparable = self.config.time is None and epoch < self.config.last_epoch
        # The first trial is what all are measured by.
        return comparable and not trial.user_attrs.get("first") and trial.should_prune()

    def _end(
        self, worker: Worker, state: State, reason: str = "", accuracy: float | None = None, **facts: Any
    ) -> None:
        """Writes down how a worker's trial ended, and keeps its model where it is the best so far."""
        ends = library().trial.TrialState
        trial, began = self.running.pop(worker)
        folder = self.path / "trials" / str(trial.number)
        seconds = round(time.perf_counter() - began, 1)
        if accuracy is not None:
            self.shortest = min(seconds, self.shortest or seconds)
            rank = (accuracy, -trial.number)
            if self.best is None or rank > self.best:
                self.best = rank
                _keep(folder, self.path / "best")
        shutil.rmtree(folder, ignore_errors=True)
        trial.set_user_attr("told", {"state": state, "reason": reason, "seconds": seconds, **facts})
        outcome = {"finished": ends.COMPLETE, "failed": ends.FAIL}.get(state, ends.PRUNED)
        self.opened.tell(trial, accuracy, state=outcome)
        self.ended += 1
        if state != "failed":
            self.deaths = 0
        self.read().write()
        self._tell(trial.number)

    def _bury(self, worker: Worker) -> None:
        """Puts another process in the place of one that has died."""
        how = self._dismiss(worker)
        self._end(worker, "failed", f"Its process ended with {how}, most often for want of memory.")
        self.deaths += 1
        if self.deaths == _DEATHS:
            raise ResourceError(
                f"{_DEATHS} processes in a row have died, the last with {how}. Most often for want of "
                f"memory: use fewer --workers. Their last words are in {self.path / 'workers.log'}"
            )
        self._next(self._hire())

    def _tell(self, ended: int | None) -> None:
        self.opened.set_user_attr("seconds", self.seconds)  # kept often, in case of a kill
        study = self.read()
        left = None if self.settings.time is None else max(0.0, self.settings.time - self.seconds)
        self.listen(Standing(study, None if ended is None else study.trials[ended], left))


def _keep(folder: Path, best: Path) -> None:
    """Puts a trial's run in the place of the best one so far; looks at test pictures stay on record."""
    with contextlib.suppress(FileNotFoundError):
        (best / "ledger.jsonl").replace(folder / "ledger.jsonl")
    shutil.rmtree(best, ignore_errors=True)
    folder.replace(best)
