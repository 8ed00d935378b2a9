"""Search the settings of a recipe for a better score, within a time."""

import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from tenfold import machine
from tenfold.cli import backends, command, settings, train
from tenfold.cli.options import ALIASES, value_of
from tenfold.cli.progress import Progress, Style, duration, emit, percent
from tenfold.config import Augmentation, Config, levels
from tenfold.config import seconds as span
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.tuning import Standing, Study
    from tenfold.tuning.study import Settings, Trial


@dataclass(frozen=True)
class Start(Config):
    """What trials start from. What is given a value here is not searched."""

    # Of a trial: `Options.trial_time` sets it, as --time is that of the whole search.
    time: Annotated[float | None, tyro.conf.Fixed, tyro.conf.Suppress, tyro.conf.arg(name="length")] = None


@dataclass(frozen=True)
class Options:
    """Search the settings of a recipe for a higher validation score. Test pictures are never looked at.

    The first trial is the recipe as it is, so the best is never worse. What is given here stays as given;
    --dry-run lists what is searched.
    """

    source: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = None
    """The same as --data."""
    search: Annotated[str | None, tyro.conf.arg(metavar="NAMES")] = None
    """Settings to search, such as learning_rate,batch_size,flip. Default: all that --dry-run lists."""
    fix: Annotated[str | None, tyro.conf.arg(metavar="NAMES")] = None
    """Settings to leave as the recipe has them, separated by commas, besides those given here."""
    trials: int | None = None
    """How many trials. Default: 30, or as many as fit into --time."""
    time: str | None = None
    """Wall time of the whole search, such as 30m; trials that it cuts off do not count."""
    trial_time: str | None = None
    """Wall time of each trial, such as 60s, in place of --epochs; none is stopped early then."""
    workers: int | None = None
    """Trials side by side, each with its share of the processors. Default: one a processor, up to 4."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="STUDY")] = None
    """Go on with a study; --trials, --time (from now on) and --workers may be other than before."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file of settings to start from, such as the config.yaml of a run."""
    set: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint="")
    ] = ()
    """Any setting by its name in config.yaml, for example augmentation.crop=2; may be repeated."""
    augment: Annotated[str | None, tyro.conf.arg(metavar="LEVEL")] = None
    """none, light, medium or strong augmentation, or settings of it such as crop=4, and not searched."""
    name: str | None = None
    """Name of the study folder. Default: tune- and the recipe's."""
    runs: Path = Path("runs")
    """Folder that takes the study folder."""
    dry_run: bool = False
    """List what would be searched, and stop."""
    quiet: bool = False
    """Print the result only."""
    json: bool = False
    """Print events as JSON lines on stdout; text for people goes to stderr."""
    settings: tyro.conf.OmitArgPrefixes[Start] = dataclasses.field(default_factory=Start)
    given: Annotated[tuple[str, ...], tyro.conf.Fixed, tyro.conf.Suppress] = ()


def start(words: list[str]) -> Options:
    """The options to start from, and which settings the words give a value."""
    base = train.starting_point(words)
    names = [field.name for kind in (Config, Augmentation) for field in dataclasses.fields(kind)]
    given = tuple(name for name in names if value_of(words, name.replace("_", "-")) is not None)
    length = None if base.time is None else str(base.time)  # a file's time is that of one run
    return Options(settings=Start(**{**vars(base), "time": None}), trial_time=length, given=given)


def run(options: Options) -> int:
    """Searches, prints every trial as it ends, and what came of all of them."""
    style: Style = "json" if options.json else "quiet" if options.quiet else "human"
    started = machine.process_start()
    if options.resume is not None:
        named = (options.source, options.search, options.fix, options.augment)
        others = [*options.given, *options.set, *filter(None, named)]
        if others := [name for name in others if name != "time"]:  # which is no setting here
            raise UsageError(
                "A study goes on with its own settings. Expected beside --resume: --trials, --time or "
                f"--workers. Received: {', '.join(others)}"
            )
        return go_on(options.resume, style, options.trials, _span(options.time), options.workers)
    with Progress(style) as progress:
        plan = _plan(options, progress)
        if options.dry_run:
            _list(plan, style)
            return 0
        if style == "human":
            progress.console.print(_headline(plan), markup=False)
        from tenfold import tuning

        study = tuning.tune(
            plan,
            runs=options.runs,
            name=options.name,
            command=command.line(),
            listen=_listener(progress, style),
            started=started,
        )
    _summarise(study, style, progress)
    return 0


def go_on(
    path: Path,
    style: Style,
    trials: int | None = None,
    time: float | None = None,
    workers: int | None = None,
) -> int:
    """What `tenfold resume STUDY` does: takes a study to the end that it would have had, or beyond."""
    from tenfold import tuning

    with Progress(style) as progress:
        study = tuning.resume(
            path,
            trials=trials,
            time=time,
            workers=workers,
            listen=_listener(progress, style),
            started=machine.process_start(),
        )
    _summarise(study, style, progress)
    return 0


def _plan(options: Options, progress: Progress) -> "Settings":
    config = Config(**{**vars(options.settings), "time": _span(options.trial_time)})
    if options.source is not None:
        config = dataclasses.replace(config, data=options.source)
    config = settings.apply(config, options.set)
    backends.choose(config.backend)
    backends.load()
    from tenfold import tuning
    from tenfold.callbacks import Download
    from tenfold.recipes import recipe
    from tenfold.tuning.space import brief, find

    usual = recipe(config.recipe).model_options
    given = {*options.given, *(change.partition("=")[0].replace("-", "_") for change in options.set)}
    given |= levels.settled(options.augment) if options.augment else set()
    given |= {f"model_options.{name}" for name in config.model_options if name not in usual}
    keep = [name for name in find(config) if name in given or brief(name) in given]
    return tuning.plan(
        config,
        search=_names(options.search),
        keep=[*keep, *_names(options.fix)],
        trials=options.trials,
        time=_span(options.time),
        workers=options.workers,
        progress=lambda done, total: progress(Download(done, total)),
    )


def _span(text: str | None) -> float | None:
    return None if text is None else span(text)


def _names(text: str | None) -> list[str]:
    """Settings by the names that their options have, short ones too."""
    given = [name.strip() for name in (text or "").split(",") if name.strip()]
    return [ALIASES.get(f"--{name}", f"--{name}").removeprefix("--") for name in given]


def _list(plan: "Settings", style: Style) -> None:
    """Prints what would be searched."""
    if style == "json":
        emit("plan", **dataclasses.asdict(plan))
        return
    from rich.table import Table

    from tenfold.cli.progress import tables
    from tenfold.tuning.space import brief

    table = Table("setting", "start", "tried", box=None, pad_edge=False)
    for name, dimension in plan.space.items():
        table.add_row(brief(name), _shown(dimension.start), str(dimension))
    tables().print(table)
    print(_headline(plan))


def _headline(plan: "Settings") -> str:
    length = f"{plan.config.epochs} epochs" if plan.config.time is None else duration(float(plan.config.time))
    bounds = [] if plan.trials is None else [f"{plan.trials} trials"]
    bounds += [] if plan.time is None else [duration(plan.time)]
    threads = "one thread" if plan.threads == 1 else f"{plan.threads} threads"
    searched = "one setting" if len(plan.space) == 1 else f"{len(plan.space)} settings"
    return (
        f"Searching {searched} of {plan.config.recipe}, {length} a trial, for at most "
        f"{' and '.join(bounds)}; {plan.workers} side by side with {threads} each."
    )


def _listener(progress: Progress, style: Style) -> "Callable[[Standing | str], None]":
    """Draws what a study tells."""

    def listen(event: "Standing | str") -> None:
        if isinstance(event, str):
            if style == "json":
                emit("note", text=event)
            if style != "quiet":
                progress.console.print(event, markup=False)
            return
        if event.ended is not None:
            if style == "json":
                emit("trial", **dataclasses.asdict(event.ended))
            if style != "quiet":
                progress.console.print(_line(event.ended, event.study), markup=False)
        _draw(event, progress)

    return listen


def _draw(standing: "Standing", progress: Progress) -> None:
    """Where the study stands, on the live line."""
    study, left = standing.study, standing.seconds_left
    planned = study.settings.trials
    state = [f"{study.ended} of {planned}" if planned else f"{study.ended} trials"]
    state += [f"best {percent(study.best.accuracy or 0.0)}"] if study.best else []
    state += [] if left is None else [f"{duration(left)} left"]
    spent = (study.ended, planned) if planned else (int(study.seconds), int(study.settings.time or 0))
    progress.count("tuning", *spent, state="  ".join(state))


def _line(trial: "Trial", study: "Study") -> str:
    """A trial that has ended, in one line."""
    accuracy = "-" if trial.accuracy is None else percent(trial.accuracy)
    text = f"trial {trial.number:>3}  {accuracy:>6}  {duration(trial.seconds):>5}  {trial.state}"
    if trial.state in ("pruned", "cut"):
        return f"{text} after {trial.epochs:.4g} epochs"
    if trial.state == "failed":
        return f"{text}: {trial.reason}"
    if trial.first:
        return f"{text}: the recipe as it is"
    if study.best is not trial:
        return text
    return f"{text}, the best so far: {', '.join(_changes(study, trial, arrow=False)) or 'nothing changed'}"


def _changes(study: "Study", trial: "Trial", *, arrow: bool = True) -> list[str]:
    """The settings of a trial that are other than those to start from."""
    from tenfold.tuning.space import brief

    found = []
    for name, dimension in study.settings.space.items():
        value = trial.values.get(name, dimension.start)
        if value != dimension.start:
            before = f"{_shown(dimension.start)} -> " if arrow else ""
            found.append(f"{brief(name)} {before}{_shown(value)}")
    return found


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _summarise(study: "Study", style: Style, progress: Progress) -> None:
    """Prints what came of a study, and how to get an honest score."""
    best, first = study.best, study.first
    if best is None:  # tune and resume raise then
        return
    if style == "json":
        changed = {name: best.values[name] for name in study.settings.space}
        emit("done", study=str(study.path), best=dataclasses.asdict(best), values=changed)

    def say(*lines: str) -> None:
        progress.console.print("\n".join(lines), markup=False)

    low, high = best.interval or (0.0, 0.0)
    against = ""
    if best is first:
        against = "; nothing was better than the recipe as it is"
    elif first is not None:
        gain = 100 * (best.rank[0] - first.rank[0])
        against = f", {gain:.1f} points above the recipe as it is ({percent(first.rank[0])})"
    say(
        f"Best:   trial {best.number}, {percent(best.rank[0])} of the validation pictures right "
        f"(95 % interval {100 * low:.1f} to {percent(high)}){against}"
    )
    if style != "quiet":
        for change in _changes(study, best):
            say(f"        {change}")
        counts = [(state, sum(trial.state == state for trial in study.trials)) for state in _STATES]
        told = ", ".join(f"{count} {state}" for state, count in counts if count)
        say(f"Trials: {told}, in {duration(study.seconds)}")
    place = shlex.quote(str(study.path))
    say(f"Study:  {study.path}", f"Again:  tenfold train --config {place}/best.yaml")
    if style != "quiet":
        say(
            "The best of many scores on the same pictures flatters itself. Pictures that no trial has seen "
            "tell what it is worth, asked once:",
            f"Next:   tenfold evaluate {place}/best --split test",
        )


_STATES = ("finished", "pruned", "cut", "failed", "lost")
