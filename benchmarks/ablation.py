"""The findings of the classics, measured: each claim of their READMEs as runs that differ in one thing.

    python benchmarks/ablation.py                     # all of it: 33 runs, under an hour on two cores
    python benchmarks/ablation.py --seeds 0 --only base no-norm      # a piece of it
    python benchmarks/ablation.py --table             # run nothing, write what is there
    python benchmarks/ablation.py --smoke             # two epochs on the digits, writes no documents

What the READMEs say, with the lines that say it:

- batch norm steadies training: `batchnorm` 89 ("Batch Normalization significantly improved training
  stability"), `augmented` 40 ("to stabilize the learning process");
- dropout limits overfitting: `batchnorm` 90 ("Dropout layers (0.5) helped prevent overfitting") and 37,
  `augmented` 42;
- more filters in deeper layers help: `batchnorm` 91 ("Increasing the number of filters in deeper layers
  captured more complex features");
- ships and automobiles are easy, cats and dogs hard: `batchnorm` 92;
- augmentation helps to generalize: `augmented` 52 ("generalize and prevent overfitting"), and hoped for in
  `batchnorm` 96, `plain` 35, `compact` 87 and `tiny` 92;
- early stopping prevents overfitting: `augmented` 63, `batchnorm` 72;
- a network of one convolution learns its training pictures and little else: `tiny` 74 and 75 (88.35 % in
  training after 5 epochs, 61.5 % on test);
- deeper networks would do better: `tiny` 93.

All runs learn from the same 9,000 pictures of CIFAR-10's training set for 20 epochs, and are scored on 5,000
others of it; the test pictures are not read. The network is `batchnorm` with a quarter of its filters (16,
32, 64), Adam at 0.001, batches of 64; the mean of its last five epochs counts. So few pictures and filters
keep a run near a minute, and show overfitting sooner than the whole set would. What has finished under --runs
is not run again, so the benchmark can be stopped and started at will.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

import results
from tenfold import datasets, splits
from tenfold.config import Augmentation, Config
from tenfold.errors import GateError
from tenfold.runs import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES, HELD = 10_000, 5_000  # a tenth of the first is kept from training by the reader of the archive
EPOCHS, LAST, SEEDS = 20, 5, (0, 1, 2)  # of an accuracy, the last epochs are averaged
PLOT = results.ROOT / "docs" / "ablation.svg"

BASE = Config(
    recipe="batchnorm",
    model="batchnorm",
    model_options={"width": 16},
    optimizer="adam",
    learning_rate=0.001,
    batch_size=64,
    monitor="last",
    precision="float32",
)
AUGMENTED = Augmentation(flip="random", rotation=15.0, shift=0.1)  # as the recipe `augmented` has it


def with_options(**options: Any) -> dict[str, Any]:
    return {"model_options": {**BASE.model_options, **options}}


RMSPROP: dict[str, Any] = {"optimizer": "rmsprop", "model_options": {}}

# Name of each variant: what it is, and how its settings differ from BASE.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("batch norm, dropout 0.5, filters 16-32-64", {}),
    "no-norm": ("without batch norm", with_options(norm=False)),
    "rate": ("ten times the learning rate", {"learning_rate": 0.01}),
    "rate-no-norm": (
        "ten times the rate, without batch norm",
        {"learning_rate": 0.01, **with_options(norm=False)},
    ),
    "no-dropout": ("without dropout", with_options(dropout=0.0)),
    "augmented": ("mirrored, rotated, shifted", {"augmentation": AUGMENTED}),
    "no-dropout-augmented": (
        "the same without dropout",
        {"augmentation": AUGMENTED, **with_options(dropout=0.0)},
    ),
    "flat": ("filters 16-16-16", with_options(growth=1)),
    "flat-wide": ("filters 27-27-27: the FLOPs of 16-32-64", with_options(growth=1, width=27)),
    "tiny": ("`tiny`, one convolution, RMSprop", {**RMSPROP, "model": "tiny"}),
    "plain": ("`plain`, three convolutions, RMSprop", {**RMSPROP, "model": "plain"}),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/ablation"), help="folder of all that is found"
    )
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default all")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="default 0 1 2")
    parser.add_argument("--table", action="store_true", help="run nothing, write what is there")
    parser.add_argument("--smoke", action="store_true", help="two epochs, one seed, digits: does it work?")
    options = parser.parse_args()
    folder = options.runs / "smoke" if options.smoke else options.runs
    folder.mkdir(parents=True, exist_ok=True)
    seeds = options.seeds[:1] if options.smoke else options.seeds
    if not options.table:
        base = dataclasses.replace(BASE, data="digits", epochs=2)
        if not options.smoke:
            base = dataclasses.replace(BASE, data=str(pictures(folder)), epochs=EPOCHS)
        for seed in seeds:
            for name in options.only:
                train(folder, name, base, seed)
    found = Found(folder)
    if options.smoke:
        plot(found, folder / PLOT.name)
        print(f"{table(found)}\n\nPlot: {folder / PLOT.name}")
    else:
        plot(found, PLOT)
        results.write("ablation", table(found))
    return 0


def pictures(folder: Path) -> Path:
    """An archive of some training pictures of CIFAR-10, as many of each class, and of others to score on."""
    path = folder / "pictures.npz"
    if not path.exists():
        data = datasets.load("cifar10", "train")
        rest, held = splits.hold_out(data.labels, HELD / len(data), 0)
        _, train = splits.hold_out(data.labels[rest], PICTURES / len(rest), 0)
        part = folder / "part.npz"
        arrays = {"x_train": data.images[rest[train]], "y_train": data.labels[rest[train]]}
        arrays |= {"x_val": data.images[held], "y_val": data.labels[held]}
        np.savez(part, class_names=np.array(data.class_names), **arrays)
        part.replace(path)
    return path


def train(folder: Path, name: str, base: Config, seed: int) -> None:
    """One run and its score on its training pictures, unless there is one of the same settings."""
    from tenfold import training
    from tenfold.prediction import Predictor

    settings = dataclasses.replace(base, seed=seed, **VARIANTS[name][1])
    note = folder / f"{name}-{seed}.json"
    wanted = msgspec.to_builtins(settings)
    if note.exists() and json.loads(note.read_text("utf-8"))["settings"] == wanted:
        return
    start = time.perf_counter()
    diverged = False
    try:
        run = training.train(settings, runs=folder, name=f"{name}-{seed}", exist_ok=True)
        # What `fit` reports is under dropout, on changed pictures, by a model on its way.
        Predictor(run, engine="keras").evaluate("train")
        words = f"{learned(run):.1f} % of training, {accuracy(run):.1f} % of validation pictures"
    except GateError as error:  # its loss became infinite; that is a finding too
        diverged, words = True, str(error)
    part = note.with_suffix(".part")
    part.write_text(json.dumps({"settings": wanted, "diverged": diverged}), encoding="utf-8")
    part.replace(note)
    print(f"{name}-{seed}: {words}, {time.perf_counter() - start:.0f} s", flush=True)


# What is made of it.


@dataclass(frozen=True)
class Found:
    """The finished runs of a folder."""

    folder: Path

    def seeds(self, name: str) -> list[int]:
        notes = [self.folder / f"{name}-{seed}.json" for seed in range(100)]
        return [seed for seed, note in enumerate(notes) if note.exists()]

    def run(self, name: str, seed: int) -> Run | None:
        """None for a run that diverged."""
        note = json.loads((self.folder / f"{name}-{seed}.json").read_text("utf-8"))
        return None if note["diverged"] else Run(self.folder / f"{name}-{seed}")

    def runs(self, name: str) -> list[Run]:
        return [run for seed in self.seeds(name) if (run := self.run(name, seed))]

    def measured(self, name: str, measure: "Measure") -> dict[int, float]:
        """A measure by seed. A run that diverged counts as a guess, and has nothing else to measure."""
        values = {}
        for seed in self.seeds(name):
            run = self.run(name, seed)
            if run is not None:
                values[seed] = measure(run)
            elif measure is accuracy:
                values[seed] = 10.0
        return values


Measure = Callable[[Run], float]


def accuracy(run: Run) -> float:
    """Validation accuracy in percent, mean of the last epochs, as one alone is points off its neighbours."""
    return 100 * statistics.mean(row["val_accuracy"] for row in run.history[-LAST:])


def learned(run: Run) -> float:
    """Accuracy on the training pictures in percent, without dropout and augmentation."""
    return 100 * (run.scores("train") or {})["accuracy"]


def gap(run: Run) -> float:
    """Training minus validation accuracy of the final weights, in points."""
    return learned(run) - 100 * (run.scores("validation") or {})["accuracy"]


def falls(run: Run) -> float:
    """By how many points validation accuracy falls from one epoch to the next, rises counted as 0."""
    values = [100 * row["val_accuracy"] for row in run.history]
    return statistics.mean(max(0.0, before - after) for before, after in pairwise(values))


def last_loss(run: Run) -> float:
    """Validation loss of the last epoch."""
    return run.history[-1]["val_loss"]


def best_loss(run: Run) -> float:
    """Validation loss of the epoch at which early stopping would have left off."""
    return min(row["val_loss"] for row in run.history)


def recall(*names: str) -> Measure:
    """Share of these classes' pictures that are named right, in percent."""

    def measure(run: Run) -> float:
        report = (run.scores("validation") or {})["report"]
        return 100 * statistics.mean(report[name]["recall"] for name in names)

    return measure


@dataclass(frozen=True)
class Claim:
    """A measure of two variants, of which the first should have more, or less, if the README is right."""

    text: str
    source: str
    what: str
    one: tuple[str, Measure]
    other: tuple[str, Measure]
    expected: str = "more"


NORM, DROP = "batch norm steadies training", "dropout limits overfitting"
FILTERS, AUGMENT = "more filters deeper help", "augmentation helps"
CLAIMS = (
    Claim(NORM, "batchnorm 89", "accuracy: with, without", ("base", accuracy), ("no-norm", accuracy)),
    Claim(
        NORM,
        "augmented 40",
        "accuracy at ten times the rate: with, without",
        ("rate", accuracy),
        ("rate-no-norm", accuracy),
    ),
    Claim(
        NORM,
        "batchnorm 89",
        "mean fall of accuracy between epochs: with, without",
        ("base", falls),
        ("no-norm", falls),
        "less",
    ),
    Claim(
        DROP,
        "batchnorm 90, augmented 42",
        "training minus validation accuracy: with, without",
        ("base", gap),
        ("no-dropout", gap),
        "less",
    ),
    Claim(DROP, "batchnorm 37", "accuracy: with, without", ("base", accuracy), ("no-dropout", accuracy)),
    Claim(FILTERS, "batchnorm 91", "accuracy: 16-32-64, 16-16-16", ("base", accuracy), ("flat", accuracy)),
    Claim(
        FILTERS,
        "batchnorm 91",
        "accuracy at the same FLOPs: 16-32-64, 27-27-27",
        ("base", accuracy),
        ("flat-wide", accuracy),
    ),
    Claim(
        "ships and automobiles are easier than cats and dogs",
        "batchnorm 92",
        "share named right: ship and automobile, cat and dog",
        ("base", recall("ship", "automobile")),
        ("base", recall("cat", "dog")),
    ),
    Claim(
        AUGMENT,
        "augmented 52, batchnorm 96",
        "accuracy: with, without",
        ("augmented", accuracy),
        ("base", accuracy),
    ),
    Claim(
        AUGMENT,
        "plain 35, compact 87, tiny 92",
        "accuracy, no dropout: with, without",
        ("no-dropout-augmented", accuracy),
        ("no-dropout", accuracy),
    ),
    Claim(
        AUGMENT,
        "augmented 52",
        "training minus validation accuracy, no dropout: with, without",
        ("no-dropout-augmented", gap),
        ("no-dropout", gap),
        "less",
    ),
    Claim(
        "early stopping prevents overfitting",
        "augmented 63, batchnorm 72",
        "validation loss, no dropout: at its best epoch, at the last",
        ("no-dropout", best_loss),
        ("no-dropout", last_loss),
        "less",
    ),
    Claim(
        "one convolution learns its training pictures, and less else",
        "tiny 74, 75",
        "accuracy of `tiny`: training, validation",
        ("tiny", learned),
        ("tiny", accuracy),
    ),
    Claim(
        "deeper networks do better",
        "tiny 93",
        "accuracy: three convolutions (`plain`), one (`tiny`)",
        ("plain", accuracy),
        ("tiny", accuracy),
    ),
)


def table(found: Found) -> str:
    """The claims, then the variants, then the classes from the easiest to the hardest."""
    lines = [
        f"![What the classics claim, measured]({PLOT.name})",
        "",
        "| a README says | where | measured | | | difference | seeds that agree |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for claim in CLAIMS:
        if pairs := paired(found, claim):
            differences = [one - other for one, other in pairs]
            agree = sum(value > 0 if claim.expected == "more" else value < 0 for value in differences)
            one, other = (spread(values) for values in zip(*pairs, strict=True))
            lines.append(
                f"| {claim.text} | {claim.source} | {claim.what} | {one} | {other} "
                f"| **{spread(differences, '+')}** | {agree} of {len(pairs)} |"
            )
    lines += [
        "",
        "| variant | | parameters | FLOPs | validation accuracy | training accuracy | runs |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for name, (text, _) in VARIANTS.items():
        if runs := found.runs(name):
            size = runs[0].summary
            lines.append(
                f"| `{name}` | {text} | {size['parameters']:,} | {size['flops'] / 1e6:.1f} M "
                f"| {spread(list(map(accuracy, runs)))} % | {spread(list(map(learned, runs)))} % "
                f"| {len(runs)} of {len(found.seeds(name))} |"
            )
    if order := classes(found):
        listed = ", ".join(f"{name} {share:.0f} %" for name, share in order)
        lines += ["", f"Classes in `base`, the easiest first: {listed}."]
    lines += [
        "",
        "Accuracies and their differences in percent and points, losses in nats; mean and deviation over",
        "seeds, of pairs that differ in nothing else and see their pictures in the same order. A seed agrees",
        "where it shows what the README says. All runs: 9,000 training pictures of CIFAR-10, 5,000 others of",
        f"its training set to score on, {EPOCHS} epochs; the test pictures are not read. Validation accuracy",
        f"is the mean of the last {LAST} epochs, since with batch norm one epoch differs from the next by",
        "three or four points; gaps and classes are those of the last. Training accuracy is measured",
        "afterwards, without dropout and augmentation. A run that diverged counts as a guess.",
    ]
    if made := [run for name in VARIANTS for run in found.runs(name)]:
        lines[-1] += f" Commits of the runs: {results.commits(made)}."
    return "\n".join(lines)


def paired(found: Found, claim: Claim) -> list[tuple[float, float]]:
    """Both sides of a claim by seed; empty where the data have no such classes."""
    try:
        one, other = (found.measured(*side) for side in (claim.one, claim.other))
    except KeyError:
        return []
    return [(one[seed], other[seed]) for seed in one if seed in other]


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and deviation."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.2f}{deviation}"


def classes(found: Found) -> list[tuple[str, float]]:
    """The classes and the share of right answers in `base`, mean over seeds, highest first."""
    runs = found.runs("base")
    if not runs:
        return []
    shares = [(name, statistics.mean(map(recall(name), runs))) for name in runs[0].class_names]
    return sorted(shares, key=lambda each: -each[1])


def plot(found: Found, path: Path) -> None:
    """Six panels, one a claim, on a white ground so that they can be read on any page."""
    import matplotlib
    from matplotlib.figure import Figure

    from tenfold.reporting.plots import LIGHT

    figure = Figure(figsize=(10.5, 6.5), layout="constrained", facecolor=LIGHT.paper)
    grid = figure.subplots(2, 3)
    norm, dropout, filters, augmentation, depth, hard = grid.flat
    blue, orange, green = LIGHT.blue, LIGHT.orange, LIGHT.green
    curves(norm, found, "val_accuracy", "Batch norm", [
        ("base", "with", blue, "-"), ("no-norm", "without", orange, "-"),
        ("rate", "with, rate x 10", blue, "--"), ("rate-no-norm", "without, rate x 10", orange, "--"),
    ])  # fmt: skip
    curves(dropout, found, "val_loss", "Dropout", [
        ("base", "with", blue, "-"), ("no-dropout", "without", orange, "-"),
    ])  # fmt: skip
    curves(augmentation, found, "val_accuracy", "Augmentation", [
        ("augmented", "with", blue, "-"), ("base", "without", orange, "-"),
        ("no-dropout-augmented", "with, no dropout", blue, "--"),
        ("no-dropout", "without, no dropout", orange, "--"),
    ])  # fmt: skip
    curves(depth, found, "val_accuracy", "Depth", [
        ("plain", "three convolutions", blue, "-"), ("tiny", "one", orange, "-"),
    ])  # fmt: skip
    sizes = {"flat": "16-16-16", "flat-wide": "27-27-27", "base": "16-32-64"}
    scores = {label: list(found.measured(name, accuracy).values()) for name, label in sizes.items()}
    bars(filters, {label: values for label, values in scores.items() if values}, "Filters", green)
    bars(hard, {name: [share] for name, share in reversed(classes(found))}, "Classes", green, right=True)
    for axes in grid.flat:
        axes.set_facecolor(LIGHT.paper)
        axes.tick_params(colors=LIGHT.ink, labelsize=8)
        axes.grid(color=LIGHT.grid, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set(color=LIGHT.ink, fontsize=11)
        axes.xaxis.label.set(color=LIGHT.muted, fontsize=8)
        if handles := axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, labelcolor=LIGHT.ink, fontsize=7, ncols=2 if len(handles) > 2 else 1)
    with matplotlib.rc_context({"svg.hashsalt": "tenfold"}):  # the same picture from the same figures
        figure.savefig(path, metadata={"Date": None})


def curves(
    axes: "Axes", found: Found, metric: str, title: str, series: Sequence[tuple[str, str, str, str]]
) -> None:
    """A metric over the epochs: mean over seeds, and the range of them as a band."""
    scale = 100 if metric == "val_accuracy" else 1
    for name, label, colour, style in series:
        rows = [[scale * row[metric] for row in run.history] for run in found.runs(name)]
        if not rows:
            continue
        values = np.array(rows)  # (seeds, epochs)
        epochs = np.arange(1, values.shape[1] + 1)
        axes.plot(epochs, values.mean(axis=0), style, color=colour, label=label, linewidth=1.5)
        axes.fill_between(
            epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0
        )
    axes.set_title(f"{title}: {'validation accuracy, %' if scale == 100 else 'validation loss'}", loc="left")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("epoch")


def bars(
    axes: "Axes", values: dict[str, list[float]], title: str, colour: str, *, right: bool = False
) -> None:
    """Mean accuracy of each, with the deviation over seeds."""
    means = [statistics.mean(each) for each in values.values()]
    errors = [statistics.stdev(each) if len(each) > 1 else 0.0 for each in values.values()]
    axes.barh(list(values), means, xerr=errors, color=colour, height=0.6)
    axes.set_title(f"{title}: {'named right' if right else 'validation accuracy'}, %", loc="left")


if __name__ == "__main__":
    sys.exit(main())
