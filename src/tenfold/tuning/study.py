"""A study on disk: settings searched side by side, every trial in a database, the best as a file of settings.

    runs/tune-<recipe>/
      study.yaml    what is searched, from where, for how long     command.txt   environment.json
      study.db      every trial, as Optuna keeps them (SQLite)     trials.csv    the same as a table
      best.yaml     for `tenfold train --config`                   best/         run folder of the best trial
      history.png   importance.png   and both as .svg              workers.log   warnings and tracebacks

Only one process at a time writes into the database, so that SQLite need not share.
"""

import csv
import dataclasses
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tenfold import config as configs
from tenfold.config import Config
from tenfold.config.spaces import Value
from tenfold.errors import DataError, MissingExtraError, UsageError
from tenfold.runs import Run
from tenfold.tuning import space as spaces
from tenfold.tuning.space import Space

if TYPE_CHECKING:
    import optuna

SETTINGS = "study.yaml"

State = Literal["finished", "pruned", "cut", "failed", "lost", "running", "waiting"]
ENDED = ("finished", "pruned", "cut", "failed")
"""States of trials that count towards `Settings.trials`: a lost one is tried again."""


@dataclass(frozen=True)
class Settings:
    """What a study does.

    Attributes:
        config: what every trial has where the space says nothing, and the first trial throughout.
        space: the settings that are searched.
        trials: how many; None for as many as fit into the time.
        time: seconds in all, over all processes that worked on the study; None for as long as it takes.
        workers: processes that train side by side, each with `threads`.
        threads: of each worker.
    """

    config: Config
    space: Space
    trials: int | None
    time: float | None
    workers: int
    threads: int


@dataclass(frozen=True)
class Trial:
    """One set of values and what came of it.

    Attributes:
        number: from 0.
        state: "finished"; "pruned" for an unpromising one; "cut" by the end of the time; "failed"; "lost"
            with the process that ran it, and tried again under another number; "running"; "waiting".
        first: whether these are the settings to start from.
        values: of the searched settings, by their names in config.yaml.
        accuracy: share of validation pictures answered right by the finished model; of others at the last
            epoch; None where there was none.
        interval: its 95 % interval, where it has finished.
        epochs: passes over the training pictures.
        seconds: it took.
        reason: why it has not finished.
    """

    number: int
    state: State
    first: bool
    values: dict[str, Value]
    accuracy: float | None
    interval: tuple[float, float] | None
    epochs: float
    seconds: float
    reason: str

    @property
    def rank(self) -> tuple[float, int]:
        """Larger for a better trial; of equals for the earlier one."""
        return self.accuracy or 0.0, -self.number


@dataclass(frozen=True)
class Study:
    """A study folder, opened.

    Attributes:
        path: the folder.
        settings: what it does.
        trials: in the order of their numbers.
        seconds: that were spent on it.
    """

    path: Path
    settings: Settings
    trials: tuple[Trial, ...]
    seconds: float

    @property
    def finished(self) -> list[Trial]:
        """The trials whose model was trained to its end and scored."""
        return [trial for trial in self.trials if trial.state == "finished"]

    @property
    def first(self) -> Trial | None:
        """The finished trial of the settings to start from."""
        return next((trial for trial in self.finished if trial.first), None)

    @property
    def best(self) -> Trial | None:
        """The finished trial with the highest validation accuracy; of equals the earliest."""
        return max(self.finished, key=lambda trial: trial.rank, default=None)

    @property
    def ended(self) -> int:
        """How many trials count as done."""
        return sum(trial.state in ENDED for trial in self.trials)

    def config(self, trial: Trial) -> Config:
        """All settings of a trial."""
        return spaces.apply(self.settings.config, trial.values)

    def write(self) -> None:
        """Brings trials.csv and best.yaml up to date."""
        text = io.StringIO()
        names = [each.name for each in dataclasses.fields(Trial) if each.name not in ("values", "interval")]
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*names, "low", "high", *self.settings.space])
        for trial in self.trials:
            facts = [getattr(trial, name) for name in names]
            values = [trial.values.get(name) for name in self.settings.space]
            rows.writerow([*facts, *(trial.interval or ("", "")), *values])
        folder = Run(self.path)  # no run, but what writes whole files into a folder
        folder.write("trials.csv", text.getvalue())
        if best := self.best:
            title = f"# Trial {best.number} of {self.path.name}: validation accuracy {best.accuracy:.4f}\n"
            folder.write("best.yaml", title + configs.to_yaml(self.config(best)))


def write_settings(path: Path, settings: Settings) -> None:
    """Keeps what a study does as study.yaml of its folder."""
    Run(path).write(SETTINGS, msgspec.yaml.encode(settings).decode())


def read_settings(path: Path) -> Settings:
    """What the study in a folder does.

    Raises:
        UsageError: there is no study. DataError: its study.yaml cannot be read.
    """
    file = path / SETTINGS
    if not file.exists():
        raise UsageError(f"{path} is not a study. Expected the folder of a tuning: tenfold tune")
    try:
        return msgspec.convert(msgspec.yaml.decode(file.read_bytes()), Settings)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{file} cannot be read: {error}") from None


def open_study(path: str | Path) -> Study:
    """Opens a study folder to look at its trials; it may be at work meanwhile.

    Raises:
        UsageError, DataError: as `read_settings`. MissingExtraError: Optuna is not installed.
    """
    path = Path(path)
    settings = read_settings(path)
    with database(path, settings) as opened:
        return read(path, settings, opened)


def read(path: Path, settings: Settings, opened: "optuna.Study") -> Study:
    """The study as the database has it now."""
    trials = tuple(_trial(trial) for trial in opened.get_trials(deepcopy=False))
    return Study(path, settings, trials, opened.user_attrs.get("seconds", 0.0))


@contextmanager
def database(path: Path, settings: Settings) -> "Iterator[optuna.Study]":
    """The study's trials as Optuna keeps them in study.db, made where there is none.

    The sampler is TPE over all settings together, after six trials at random. The pruner stops a trial
    whose best epoch so far is below the median of the finished ones at the same epoch, after a quarter of
    the epochs: gentle, as a rate that falls, augmentation and dropout all begin slowly and end well, and a
    study of some dozens of trials has none to waste on halving.

    Source: J. Bergstra, R. Bardenet, Y. Bengio and B. Kegl, "Algorithms for Hyper-Parameter Optimization",
    NIPS 2011; S. Watanabe, arXiv:2304.11127; D. Golovin et al., "Google Vizier", KDD 2017 (the median rule).

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    optuna = library()
    url = f"sqlite:///{(path / 'study.db').resolve().as_posix()}"
    # Someone may look at the database meanwhile, and lock it for a moment.
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 30}})
    try:
        opened = optuna.create_study(
            storage=storage,
            study_name="tune",
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=4, n_warmup_steps=-(-settings.config.last_epoch // 4)
            ),
        )
        # Drawn anew after every start, so that a resumed study does not try the same values again.
        seed = settings.config.seed + len(opened.get_trials(deepcopy=False))
        opened.sampler = optuna.samplers.TPESampler(n_startup_trials=6, seed=seed)
        yield opened
    finally:
        storage.remove_session()
        storage.engine.dispose()


def library() -> Any:
    """Optuna, which speaks only when something is wrong.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("Tuning needs Optuna. Install it with: pip install 'tenfold[tune]'") from None
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def _trial(trial: "optuna.trial.FrozenTrial") -> Trial:
    told = trial.user_attrs.get("told", {})
    states: dict[str, State] = {
        "COMPLETE": "finished",
        "PRUNED": told.get("state", "pruned"),
        "FAIL": "failed" if told.get("state") == "failed" else "lost",
        "RUNNING": "running",
        "WAITING": "waiting",
    }
    state = states[trial.state.name]
    reported = trial.intermediate_values
    return Trial(
        number=trial.number,
        state=state,
        first=trial.user_attrs.get("first", False),
        values=trial.system_attrs.get("fixed_params", {}) | trial.params,
        accuracy=trial.value if state == "finished" else reported.get(max(reported, default=0)),
        interval=tuple(told["interval"]) if "interval" in told else None,
        epochs=told.get("epochs", max(reported, default=0)),
        seconds=told.get("seconds", 0.0),
        reason=told.get("reason", ""),
    )
