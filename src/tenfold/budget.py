"""Training by the clock: as many steps as fit into a promised time, the rate annealed when it is up."""

import collections
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tenfold import machine
from tenfold.config import Config
from tenfold.errors import UsageError
from tenfold.optimizers import height

EPOCHS = 10**9
"""What Keras is told to train for; the budget ends it."""

_RECENT = 20  # steps that the speed is taken from
_CHECKS = 0.05  # share of the time that may go into validating and saving on the way
_FORWARD = 0.3  # of a training step, for the same pictures; measured 0.25 to 0.35 on a processor
_SAVING = 0.5  # seconds that the model and the files around it take, until they have been measured
_LEAST = 0.1  # of the promised time must remain for training when it begins


class Budget(keras.callbacks.Callback):
    """Lays the learning rate over the time that is left, step by step, and ends training when it is up.

    Nobody knows beforehand how many steps fit, and the speed may change on the way. So after every step it
    takes the median duration of the last steps, reckons how many more fit, and moves `progress` by that
    share of what is left of it: it comes to 1 at the promised time whatever the machine does meanwhile, and
    never jumps. What comes after the last step is set aside first: the last validation, saving, scoring
    the kept model, and `ending`.

    It comes first among the callbacks, and the optimizer must have a plain learning rate.

    Args:
        settings: `time`, the learning rate and its schedule, the batch size.
        pictures: an epoch; and `held`, how many are for validation, 0 for none.
        started: when the clock started, as `clock` tells it.
        ending: seconds that the caller needs after training, for its report for example.
        clock: seconds, for tests.

    Attributes:
        progress: share of the training that is done, 0 to 1; falls never.
        steps: expected for the whole run; None until the second step has ended.
        done: steps so far.
        checks: epochs, from 1, at whose end the model was or will be validated and saved. All of them while
            that costs little of the time; the last one always.
    """

    def __init__(
        self,
        settings: Config,
        pictures: int,
        held: int,
        *,
        started: float,
        ending: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ):
        super().__init__()
        self.settings = settings
        self.seconds = float(settings.time or 0.0)
        self.epoch_steps = math.ceil(pictures / settings.batch_size)
        self.started = started
        self.clock = clock
        self.progress = 0.0
        self.steps: float | None = None
        self.done = 0
        self.checks: list[int] = []
        self._ending = ending
        exact = settings.precision == "float32" or not held
        self._slower = (
            1.0 if exact else max(1.0, machine.bfloat16_gain())
        )  # the kept model is scored in float32
        self._passes = held / settings.batch_size * _FORWARD  # a validation pass in training steps
        self._recent: collections.deque[float] = collections.deque(maxlen=_RECENT)
        self._cold = True
        self._mark = self._pass_began = started
        self._pass: float | None = None if held else 0.0
        self._check: float | None = None  # seconds of the last validation and saving together
        self._spent = 0.0  # seconds of all of them
        self._earlier: float | None = None  # seconds that an earlier process used, where the run was resumed

    @property
    def elapsed(self) -> float:
        """Seconds of the promised time that are gone."""
        return self.clock() - self.started

    @property
    def left(self) -> float:
        """Seconds until the promised time is up; 0 once it is."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def epochs(self) -> int:
        """How many epochs are expected, a last part of one counted as one."""
        return max(1, math.ceil((self.steps or 1) / self.epoch_steps - 1e-6))

    def due(self, epoch: int) -> bool:
        """Whether the model is validated and saved at the end of this epoch, from 0."""
        return epoch + 1 in self.checks

    def fitting(self, step: float, at: float) -> float:
        """How many steps of `step` seconds fit between the time `at` and what comes after the last one."""
        passing = self._passes * step if self._pass is None else self._pass
        saving = _SAVING if self._check is None else self._check - passing
        reserve = passing * (1 + self._slower) + saving + self._ending
        return max(0.0, (self.started + self.seconds - at - reserve) / step)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._earlier is not None:
            self.started = self.clock() - self._earlier
        elif self.left - self._ending < _LEAST * self.seconds:
            need = math.ceil((self.elapsed + self._ending) / (1 - _LEAST) + 1)
            raise UsageError(
                f"The time is too short: {self.elapsed:.0f} s went into starting, and the report needs about "
                f"{self._ending:.0f} s. Expected --time {need}s or more. Received: time={self.seconds:g}"
            )
        self._mark = self.clock()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = self.clock()
        if self.due(epoch - 1) and not self._cold:
            self._check = now - self._mark
            self._spent += self._check
        self._mark = now
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        # Until the speed is known, as if one epoch fitted.
        share = 1 / (self.steps or self.epoch_steps)
        self._set_rate(self.progress, share)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        now = self.clock()
        self._recent.append(now - self._mark)
        self._mark = now
        self.done += 1
        step = max(statistics.median(self._recent), 1e-9)
        more = self.fitting(step, now)
        if self._cold and self.left > self._ending:
            # The first step also prepares kernels, or compiles: it says little about the others.
            self._cold = False
            self._recent.clear()
            return
        self.steps = self.done + more
        if more < 1:
            self._end()
        else:
            self.progress += (1 - self.progress) / (more + 1)
            if batch + 1 == self.epoch_steps and self._worth_a_check(step, more * step):
                self.checks.append(self._epoch + 1)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._pass_began = self.clock()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self._pass = self.clock() - self._pass_began

    def get_state(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        facts = {"elapsed": self.elapsed, "progress": self.progress, "done": self.done}
        return {**facts, "checks": self.checks, "spent": self._spent}, []

    def set_state(self, facts: dict[str, Any], arrays: list[np.ndarray]) -> None:
        self._earlier, self.progress, self.done = facts["elapsed"], facts["progress"], facts["done"]
        self.checks, self._spent = facts["checks"], facts["spent"]

    def _worth_a_check(self, step: float, left: float) -> bool:
        """Cheap against the time so far, all checks together, and against what is left."""
        cost = self._passes * step + _SAVING if self._check is None else self._check
        return self._spent + cost <= _CHECKS * self.elapsed and cost <= _CHECKS * left

    def _end(self) -> None:
        self.progress = 1.0
        self.steps = self.done
        self._set_rate(1.0, 0.0)
        self.checks.append(self._epoch + 1)
        self.model.stop_training = True

    def _set_rate(self, done: float, share: float) -> None:
        settings = self.settings
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # JAX's `fit` keeps the optimizer's variables elsewhere meanwhile
        share = float(height(done, settings.warmup, settings.schedule, share))
        self.model.optimizer.learning_rate = settings.learning_rate * share
