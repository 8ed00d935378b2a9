"""Train a model: makes a run folder with model, scores and report."""

import dataclasses
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from tenfold import machine
from tenfold.cli import backends, command, faults, settings
from tenfold.cli.options import value_of
from tenfold.cli.progress import Progress, Style, duration, emit
from tenfold.config import Config, levels, seconds
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.planning import Plan
    from tenfold.runs import Run


# Seconds that the report, and the end of the process, take where `machine.slowness` is 1, and what the plots
# of validation add to them.
_REPORT, _VALIDATED = 1.4, 1.3
_LONG = 300  # seconds from which on harder pictures are worth their time: docs/results.md


@dataclass(frozen=True)
class Options:
    """Train a model on CIFAR-10, or on any other set of small pictures.

    Settings come from the recipe, then from --config, then from the options given here; the defaults below
    already hold the first two. Where nothing names a recipe, it is `accurate` for a --time of 5m or more.
    """

    source: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = None
    """The same as --data."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file of settings, such as the config.yaml of a run."""
    set: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint="")
    ] = ()
    """Any setting by its name in config.yaml, for example augmentation.crop=2; may be repeated."""
    augment: Annotated[str | None, tyro.conf.arg(metavar="LEVEL")] = None
    """none, light, medium or strong augmentation in place of the recipe's, or settings such as
    crop=4,mixup=0.2 on top of it; options below change single ones."""
    name: str | None = None
    """Name of the run folder. Default: the recipe's."""
    runs: Path = Path("runs")
    """Folder that holds all runs."""
    exist_ok: bool = False
    """Empty and reuse the run folder if it exists, instead of taking a new number."""
    seeds: int = 1
    """Train this many runs, NAME-s0, NAME-s1 and so on, with seeds from --seed on, and give mean and
    deviation; each has all of --time. The same command again goes on where it was stopped."""
    dry_run: bool = False
    """Print the resolved settings, size and expected time, and stop."""
    quiet: bool = False
    """Print the result only."""
    json: bool = False
    """Print events as JSON lines on stdout; text for people goes to stderr."""
    settings: tyro.conf.OmitArgPrefixes[Config] = dataclasses.field(default_factory=Config)


def start(words: list[str]) -> Options:
    """The options to start from: those of the recipe and config file named among the words.

    Where none is named, a time of `_LONG` or more means the recipe `accurate`.
    """
    given, epochs = value_of(words, "time"), value_of(words, "epochs")
    long = given is not None and given.lower() != "none" and seconds(given) >= _LONG
    base = starting_point(words, "accurate" if long else None)
    promised = given or base.time
    if promised not in (None, "none") and epochs is not None:
        raise UsageError(
            "--time decides how many epochs there are. Expected either --time or --epochs; "
            f"--time none takes a time back that a file sets. Received: time={promised}, epochs={epochs}"
        )
    return Options(settings=base)


def starting_point(words: list[str], usual: str | None = None) -> Config:
    """The settings of recipe, file and level of augmentation that the words name.

    Args:
        words: of the command line.
        usual: the recipe where they name none, nor a file or a model; default: that of `Config`.
    """
    base, level = _named(words, usual), value_of(words, "augment")
    return base if level is None else levels.augment(base, level)


def _named(words: list[str], usual: str | None) -> Config:
    """The settings of recipe and file; where a network to start from is named, its recipe is `transfer`."""
    recipe, file = value_of(words, "recipe"), value_of(words, "config")
    if not any(value_of(words, name) for name in ("backbone", "from-run", "from")):
        model = value_of(words, "model")
        if recipe is None and file is None:
            own = model is not None and Config(model=model).own_model
            recipe = "own" if own else usual if model is None else None
        return settings.base(recipe, file)
    if model := value_of(words, "model"):
        raise UsageError(
            "The network that is started from is the architecture. Expected: no --model beside it. "
            f"Received: model={model}"
        )
    base = settings.base(recipe if recipe or file else "transfer", file)
    return dataclasses.replace(base, started_from=None)  # a file tells of another network


def resolve(options: Options) -> Config:
    """The settings of the run, everything on the command line applied."""
    config = options.settings
    if options.source is not None:
        config = dataclasses.replace(config, data=options.source)
    return settings.apply(config, options.set)


def run(options: Options) -> int:
    """Trains, evaluates on the validation split and writes the report."""
    config = resolve(options)
    if options.seeds < 1:
        raise UsageError(f"seeds must be 1 or more. Received: seeds={options.seeds}")
    backends.choose(config.backend)
    backends.load()
    if options.dry_run:
        return _dry_run(config, options)
    style: Style = "json" if options.json else "quiet" if options.quiet else "human"
    if options.seeds == 1:
        train(config, options.runs, options.name, options.exist_ok, style)
    else:
        from tenfold.cli import seeds

        series = seeds.Series(config, options.seeds, options.runs, options.name or config.recipe)
        seeds.train_all(series, options.exist_ok, style)
    return 0


def train(
    config: Config,
    runs: Path,
    name: str | None,
    exist_ok: bool,
    style: Style,
    started: float | None = None,
) -> "Run":
    """What `tenfold train` does after its options are read: train, evaluate, report, say what comes next.

    The clock of --time starts with the process, or at `started`, in terms of `time.perf_counter`.
    """
    with Progress(style, config.monitor) as progress:
        from tenfold import training

        made = training.train(
            config,
            runs=runs,
            name=name,
            exist_ok=exist_ok,
            command=command.line(),
            listen=progress,
            started=machine.process_start() if started is None else started,
            ending=ending(config),
        )
    with faults.logged(made.path):
        summarise(made, style, progress)
    return made


def ending(config: Config) -> float:
    """Seconds out of --time to set aside for `summarise`, on a machine as fast and as busy as it is."""
    return (_REPORT + (_VALIDATED if config.val_split else 0.0)) * machine.slowness()


def summarise(run: "Run", style: Style, progress: Progress) -> None:
    """Prints the validation scores where there are any, writes the report and says what comes next."""
    began = time.perf_counter()
    from tenfold import reporting
    from tenfold.cli.evaluate import class_table
    from tenfold.evaluation import sentence

    def say(text: str) -> None:
        progress.console.print(text, markup=False)

    scores = run.scores("validation")
    if scores and style != "quiet":
        say("\n".join(["", *class_table(scores["report"]), ""]))
    say(sentence(scores) if scores else "No validation split, so no validation score.")
    page = reporting.report(run)
    following = f"tenfold evaluate {shlex.quote(str(run.path))} --split test"
    say(f"Run:    {run.path}\nReport: {page}")
    if style != "quiet":
        say(f"Next:   {following}")
    if promised := run.summary.get("time"):
        # A resumed run used its time up in several processes, which only the summary adds up.
        used = run.summary["time_used"] + time.perf_counter() - began
        say(f"Trained {run.summary['epochs']:.1f} epochs in {duration(used)} of {duration(promised)}.")
    if style == "json":
        emit("done", run=str(run.path), report=str(page), validation=scores, next=following)


def _dry_run(config: Config, options: Options) -> int:
    from tenfold.config import to_yaml
    from tenfold.planning import plan as resolved

    plan = resolved(config, started=machine.process_start(), ending=ending(config))
    if options.json:
        emit("plan", **_facts(plan), seeds=options.seeds)
        return 0
    print(to_yaml(plan.config))
    names = [*plan.class_names[:20], *(["..."] if len(plan.class_names) > 20 else [])]
    whole = duration(options.seeds * plan.seconds)
    several = f" for each of {options.seeds} seeds, {whole} in all" if options.seeds > 1 else ""
    for name, value in {
        "data": f"{plan.source.location} ({plan.source.kind})",
        "pictures": ", ".join(f"{count:,} {split}" for split, count in plan.counts.items()),
        "picture size": " x ".join(map(str, plan.image_shape)),
        "classes": f"{len(plan.class_names)}: {', '.join(names)}",
        "parameters": f"{plan.parameters:,}",
        "FLOPs": f"{plan.flops:,} a picture, forward",
        "precision": f"{plan.precision} ({plan.precision_reason})",
        "speed": f"{plan.images_per_second:,.0f} images/s, probed",
        "epochs": f"{plan.epochs:.4g}, {plan.steps:,} steps",
        "expected time": duration(plan.seconds) + several,
        "expected memory": f"{plan.memory_bytes / 2**30:.1f} GiB",
    }.items():
        print(f"{name + ':':<17}{value}")
    for note in plan.notes:
        print(f"{'note:':<17}{note}")
    return 0


def _facts(plan: "Plan") -> dict[str, Any]:
    facts = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    return facts | {
        "config": dataclasses.asdict(plan.config),
        "source": {"kind": plan.source.kind, "location": plan.source.location},
    }
