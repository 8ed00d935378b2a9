"""Searches settings: trials side by side, the unpromising stopped early, everything kept as it comes.

One trial is one `training.train` call on the same split and seed, its score the accuracy on the validation
pictures. Nothing here reads test pictures.
"""

import dataclasses
import os
import time as clocks
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import errors, machine
from tenfold.config import Config
from tenfold.errors import GateError, Stopped, UsageError
from tenfold.runs import Run, create, discard
from tenfold.tuning import space as spaces
from tenfold.tuning.session import Listener, Session
from tenfold.tuning.study import (
    Settings,
    Study,
    database,
    library,
    open_study,
    read,
    read_settings,
    write_settings,
)

if TYPE_CHECKING:
    import optuna

TRIALS = 30
"""How many where neither a number nor a time is given."""

_MOST_WORKERS = 4  # of trials at the same time, the later ones learn nothing from the others


def plan(
    config: Config,
    *,
    search: Iterable[str] = (),
    keep: Collection[str] = (),
    trials: int | None = None,
    time: float | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Settings:
    """Settles what a study would do, without doing it.

    Args:
        config: what every trial starts from; `config.time` is the time of one trial, where it is to have one.
        search: settings to search; by default all that are marked as such and of use with `config`.
        keep: settings that stay as they are.
        trials: how many; by default 30, or with a `time` as many as fit.
        time: seconds for the whole study.
        workers: trials that train side by side. By default one for each processor, four at most; one where
            there is an accelerator, and under TensorFlow and JAX, which take all processors anyway.
        progress: told about a download, should one be needed: bytes so far and in all.

    Raises:
        UsageError: a name that cannot be searched, a number out of range, or no validation pictures.
        DataError: the data are not there. MissingExtraError: Optuna is not installed.
    """
    library()
    from tenfold import datasets, preparation, transfer

    _check(trials=trials, time=time, workers=workers)
    config, _ = transfer.settle(*preparation.resolve(config))
    source = datasets.find(config.data, image_size=config.image_size, fit=config.fit, progress=progress)
    if config.val_split == 0 and "validation" not in source.splits:
        raise UsageError(
            "Tuning chooses by validation pictures, and there would be none. "
            "Expected: --val-split 0.1, for example. Received: val_split=0"
        )
    if workers is None:
        alone = config.backend != "torch" or machine.accelerator()
        workers = 1 if alone else min(machine.cores(), _MOST_WORKERS)
    return Settings(
        config=config,
        space=spaces.find(config, search, keep),
        trials=TRIALS if trials is None and time is None else trials,
        time=time,
        workers=workers,
        threads=_threads(workers),
    )


def tune(
    settings: Settings | Config,
    *,
    runs: str | Path = Path("runs"),
    name: str | None = None,
    command: str = "",
    listen: Listener = lambda event: None,
    started: float | None = None,
) -> Study:
    """Searches for settings that answer more validation pictures right, and leaves a study folder.

    The first trial has the settings to start from, so that the best is never worse. Stopped or killed, a
    study goes on with `resume`. The best of many scores on the same pictures flatters itself: only the test
    pictures, which no trial sees, tell what it is worth.

    Args:
        settings: from `plan`; a `Config` stands for `plan(config)`.
        runs: folder that takes the study folder.
        name: of the study folder; by default `tune-` and the recipe, with a number where that is taken.
        command: the command line, for the record.
        listen: receives `Standing`s and plain sentences while the study goes on.
        started: when the clock of `settings.time` started, in terms of `time.perf_counter`; default: now.

    Returns:
        The study, its best trial's settings in best.yaml and its model in the run folder best/.

    Raises:
        UsageError, DataError: settings or data that not even the first trial can be trained with, or too
        little time for one trial. GateError: no trial could be trained to its end.
        ResourceError: one process after the other died. Stopped: interrupted; the study is kept.

    Example:
        >>> study = tenfold.tune(tenfold.recipe("tiny"))          # doctest: +SKIP
        >>> study.best.accuracy                                   # doctest: +SKIP
        0.69
    """
    started = clocks.perf_counter() if started is None else started
    if isinstance(settings, Config):
        settings = plan(settings)
    made = create(runs, name or f"tune-{settings.config.recipe}")
    write_settings(made.path, settings)
    made.write("command.txt", (command or "tenfold.tune(...)") + "\n")
    made.write("environment.json", {**machine.versions(), "optuna": library().__version__})
    try:
        return _search(made.path, settings, listen, started)
    except (errors.UsageError, errors.DataError, errors.MissingExtraError):
        if open_study(made.path).ended == 0:  # not even the first trial could begin
            discard(made)
        raise


def resume(
    path: str | Path,
    *,
    trials: int | None = None,
    time: float | None = None,
    workers: int | None = None,
    listen: Listener = lambda event: None,
    started: float | None = None,
) -> Study:
    """Goes on with a study that was stopped or killed, or that is to search further.

    Trials that ran when it ended are tried again with the same values; all others stand.

    Args:
        path: the study folder.
        trials: how many in all, if other than planned.
        time: seconds from now on; by default what is left of the time that was planned.
        workers: if other than planned.
        listen: as in `tune`; so is `started`.

    Raises:
        UsageError: no study, one that has finished, or one that another process works on. Others as `tune`.
    """
    started = clocks.perf_counter() if started is None else started
    _check(trials=trials, time=time, workers=workers)
    path = Path(path)
    settings = read_settings(path)
    with database(path, settings) as opened:
        known = read(path, settings, opened)
    changes: dict[str, Any] = {}
    if trials is not None:
        changes["trials"] = trials
    if time is not None:
        changes["time"] = known.seconds + time
    if workers is not None:
        changes |= {"workers": workers, "threads": _threads(workers)}
    settings = dataclasses.replace(settings, **changes)
    if settings.trials is not None and known.ended >= settings.trials:
        raise UsageError(
            f"{path} has finished: {known.ended} trials. To search further: "
            f"tenfold tune --resume {path} --trials {known.ended + TRIALS}"
        )
    # What is left must hold one trial, as the session will see it too.
    shortest = min((trial.seconds for trial in known.finished), default=0.0)
    if settings.time is not None and settings.time - known.seconds <= shortest / 2:
        raise UsageError(
            f"{path} has used its time. To search further: tenfold tune --resume {path} --time 10m"
        )
    write_settings(path, settings)
    return _search(path, settings, listen, started)


def _threads(workers: int) -> int:
    """Of each worker: its share of the processors, or what OMP_NUM_THREADS says."""
    own = os.environ.get("OMP_NUM_THREADS", "")
    return int(own) if own.isdigit() else max(1, machine.cores() // workers)


def _check(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be above 0. Received: {name}={value}")


def _search(path: Path, settings: Settings, listen: Listener, started: float) -> Study:
    with _alone(path), database(path, settings) as opened:
        session = Session(path, settings, opened, listen, started)
        try:
            session.run()
        except KeyboardInterrupt:
            done = len(session.read().finished)
            raise Stopped(
                f"Stopped. {done} finished trials are kept in {path}. Go on with: tenfold resume {path}"
            ) from None
        study = session.read()
        if study.best is None:
            raise _fruitless(study)
        _draw(study, opened)
    return study


def _fruitless(study: Study) -> errors.TenfoldError:
    """What to say where no trial has finished."""
    failed = [trial.reason for trial in study.trials if trial.state == "failed"]
    if failed:
        return GateError(f"None of {study.ended} trials could be trained to its end. The first: {failed[0]}")
    return UsageError(
        f"The time is too short: no trial had finished after {study.seconds:.0f} s. Expected more --time, or "
        f"shorter trials, for example --epochs 3. To go on: tenfold tune --resume {study.path} --time 10m"
    )


def _draw(study: Study, opened: "optuna.Study") -> None:
    from tenfold.reporting.plots import png, svg
    from tenfold.tuning import figures

    drawn = {"history": figures.history(study)}
    if shares := figures.importance(opened):
        drawn["importance"] = figures.bars(shares)
    for name, figure in drawn.items():
        Run(study.path).write(f"{name}.png", png(figure))
        Run(study.path).write(f"{name}.svg", svg(figure))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps a second process from working on the same study; the system frees it whatever ends this one."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"Another process works on {path}. Wait for its end, or stop it.") from None
        yield
    finally:
        os.close(handle)
