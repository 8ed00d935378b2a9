"""TensorBoard and MLflow, for who asks for them: what the run folder holds, in their formats too.

Both write files and need no server. A resumed run goes on in the same ones. A tracker that fails on the way
is left aside with a sentence, and the training goes on.
"""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tenfold.callbacks import Listener, Progress
from tenfold.config import Config
from tenfold.errors import MissingExtraError
from tenfold.runs import Run
from tenfold.tracking import mlflow, tensorboard
from tenfold.tracking.facts import Row, reason

_TITLES = {"tensorboard": "TensorBoard", "mlflow": "MLflow"}


def require(settings: Config) -> None:
    """That what the settings ask for is installed; raises MissingExtraError where it is not."""
    for name, title in _TITLES.items():
        if getattr(settings, name) and importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"{title} is not installed. Install it with: pip install 'tenfold[{name}]'. "
                f"Received: {name}=True"
            )


@contextlib.contextmanager
def followers(run: Run, progress: Progress, listen: Listener) -> Iterator[list[keras.callbacks.Callback]]:
    """Callbacks that hand every epoch to the trackers of the run's settings; none where they ask for none.

    Args:
        run: with its config.yaml.
        progress: has the history so far, and comes before them among the callbacks.
        listen: receives a sentence where a tracker fails.

    Raises:
        ResourceError: a tracker cannot begin.
    """
    settings = run.config
    with contextlib.ExitStack() as stack:
        tells: list[Callable[[Row], None]] = []
        if settings.tensorboard:
            tells.append(stack.enter_context(tensorboard.opened(run, len(progress.history))))
        if settings.mlflow:
            tells.append(stack.enter_context(mlflow.opened(run)))
        yield [_Epochs(progress, _patient(tell, listen)) for tell in tells]


def conclude(run: Run, listen: Listener) -> None:
    """Hands the final scores of a finished run to the trackers of its settings.

    Args:
        run: finished.
        listen: receives a sentence where a tracker fails.
    """
    settings = run.config
    if settings.tensorboard:
        _patient(tensorboard.conclude, listen)(run)
    if settings.mlflow:
        _patient(mlflow.conclude, listen)(run)


class _Epochs(keras.callbacks.Callback):
    """Hands the newest line of the history on after every epoch."""

    def __init__(self, progress: Progress, tell: Callable[[Row], None]):
        super().__init__()
        self.progress = progress
        self.tell = tell

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.tell(self.progress.history[-1])


def _patient(tell: Callable[[Any], None], listen: Listener) -> Callable[[Any], None]:
    """`tell`, but a failure becomes a sentence, and then nothing more is told."""
    failed = False

    def told(what: Any) -> None:
        nonlocal failed
        if failed:
            return
        try:
            tell(what)
        except Exception as error:  # of whatever kind: a training of hours must not end for it
            failed = True
            listen(f"A tracker failed and is left aside; training is not affected. It said: {reason(error)}")

    return told
