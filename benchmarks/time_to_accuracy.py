"""Test accuracy after 1, 5, 15 and 60 minutes: `tenfold train --time` beside the classics on stock Keras.

    python benchmarks/time_to_accuracy.py                        # all of it: many hours on two cores
    python benchmarks/time_to_accuracy.py --contestant tenfold --only 1m --seeds 0 1     # a piece of it
    python benchmarks/time_to_accuracy.py --table                # run nothing, write what is there

Run it on an idle machine; all that it starts runs alone, the seeds outermost, so that contestants take turns.
What a run came to is kept as a file in benchmarks/figures/time/, part of the repository: what is there is not
run again, so it can be stopped and started at will, and goes on where the run folders are no more. To measure
anew, delete the file. Tenfold and the peers are compared only where they ran on the same machine.

Tenfold: one command for each budget and seed, on all training pictures, timed from outside; the test pictures
are looked at once, afterwards. Its clock is the whole command's: imports, loading, training, report.

The peers: the five classics of stock Keras layers on TensorFlow (`stock.py`). Each runs for its README's
epochs or --minutes, and notes its test accuracy after every epoch; further seeds, which only the 70 %
comparison asks for, end when they have reached it, if need be in up to three times those epochs. Four things
are in their favour: their pictures lie ready as arrays, already decoded; measuring the accuracy is left out
of their time; the test pictures choose their best epoch; and what an epoch reached counts for good. Nothing
of Tenfold is chosen on test pictures: the budget of the 70 % comparison comes from --choose, which scores on
validation pictures.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import results
from tenfold import config, datasets, machine
from tenfold.errors import UsageError
from tenfold.runs import Run

# What follows `--recipe`, and the number of seeds, for each budget; others given to --only: `fast`, one seed.
# That harder pictures with a mild end pay from five minutes on: docs/log.md.
BUDGETS = {
    "1m": ("fast", 5),
    "5m": ("accurate", 5),
    "15m": ("accurate", 3),
    "60m": ("accurate", 1),
}
PEERS = {"tiny": 1, "plain": 1, "compact": 3, "batchnorm": 3, "augmented": 1}  # seeds of each

# 70 % test accuracy: the budget that --choose found among the candidates; how much faster it has to be.
CANDIDATES = ("10s", "12s", "15s", "18s", "20s", "25s", "30s", "40s", "60s")
SEVENTY, SEVENTY_SEEDS = "20s", 5
GOAL = 0.70
BARS = {"batchnorm": 30, "compact": 6}

FIGURES = results.FIGURES / "time"
PLOT = results.ROOT / "docs" / "time_to_accuracy.svg"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("tenfold", *PEERS)
    parser.add_argument("--runs", type=Path, default=Path("runs/time"), help="folder of the run folders")
    parser.add_argument("--data", default="cifar10", help="any other is a trial: it writes no documents")
    parser.add_argument("--contestant", nargs="+", choices=names, default=names, help="who runs; default all")
    parser.add_argument("--only", nargs="+", help="Tenfold's budgets, such as 1m; default all")
    parser.add_argument("--seeds", nargs="+", type=int, help="which seeds, from 0; default each one's own")
    parser.add_argument(
        "--minutes", type=float, default=60, help="the peers stop at the first epoch's end after"
    )
    parser.add_argument("--table", action="store_true", help="run nothing, write what is there")
    parser.add_argument(
        "--choose", action="store_true", help="find the budget for 70 %% on validation pictures"
    )
    options = parser.parse_args()
    documented = options.data == "cifar10"
    folder = options.runs if documented else options.runs / Path(options.data).name
    kept = FIGURES if documented else folder
    folder.mkdir(parents=True, exist_ok=True)
    if options.choose:
        return choose(folder, options.data)
    if not options.table:
        for job in jobs(folder, kept, options):
            job()
    write(kept, documented=documented)
    return 0


def jobs(folder: Path, kept: Path, options: argparse.Namespace) -> list[partial[None]]:
    """All that is asked for and not kept yet, one seed after the other."""
    budgets = {SEVENTY: ("fast", SEVENTY_SEEDS), **BUDGETS}
    wanted = {budget: budgets.get(budget, ("fast", 1)) for budget in options.only or budgets}
    asked = options.seeds is not None
    found = []
    for seed in options.seeds or range(max([*PEERS.values(), *(count for _, count in wanted.values())])):
        for budget, (recipe, count) in wanted.items():
            if "tenfold" in options.contestant and (asked or seed < count):
                note = kept / f"tenfold-{recipe.split()[0]}-{budget}-{seed}.json"
                found.append((note, partial(ours, note, folder, options.data, recipe, budget, seed)))
        for name, count in PEERS.items():
            if name in options.contestant and (asked or seed < count):
                note = kept / f"stock-{name}-{seed}.json"
                found.append((note, partial(theirs, note, folder, options.data, name, seed, options.minutes)))
    return [job for note, job in found if not note.exists()]


# Tenfold.


def ours(note: Path, folder: Path, data: str, recipe: str, budget: str, seed: int) -> None:
    """Trains for `budget` through the command line, then looks at the test pictures; keeps the figures."""
    name = f"{recipe.split()[0]}-{budget}-{seed}"
    place = train(folder, data, recipe, budget, seed, name, "--val-split", "0")
    run = Run(place)
    if "views" not in (run.scores("test") or {}):
        words = ["evaluate", str(place), "--split", "test", "--views", "shift", "--json"]
        subprocess.run([sys.executable, "-m", "tenfold", *words], stdout=subprocess.DEVNULL, check=True)
    scores = run.scores("test") or {}
    found = {
        "recipe": recipe,
        "wall": json.loads(_clock(place).read_text("utf-8"))["seconds"],
        "trained": run.summary["seconds"],
        "epochs": run.summary["epochs"],
        "images_per_second": run.summary["images_per_second"],
        "plain": scores["accuracy"],
        "views": scores["views"]["accuracy"],
    }
    results.keep(note, found | results.origin(run.environment))
    print(f"{note.stem}: {found['plain']:.2%} plain, {found['views']:.2%} with views", flush=True)


def _clock(place: Path) -> Path:
    """Where the wall time of a run that has finished is kept: beside its folder."""
    return place.with_name(f"{place.name}.json")


def train(folder: Path, data: str, recipe: str, budget: str, seed: int, name: str, *words: str) -> Path:
    """One timed run. Its wall time is kept beside the run folder, and stands for a run that has finished."""
    clock = _clock(folder / name)
    if not clock.exists():
        command = ["train", "--recipe", *recipe.split(), "--data", data]
        command += ["--time", budget, "--seed", str(seed)]
        command += ["--name", name, "--runs", str(folder), "--exist-ok", "--quiet", *words]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tenfold", *command], stdout=subprocess.DEVNULL, check=True)
        results.keep(clock, {"seconds": time.perf_counter() - start})
    return folder / name


def choose(folder: Path, data: str, seeds: int = 3) -> int:
    """Tries the candidates, shortest first, until one is safely over the goal on validation pictures."""
    for budget in CANDIDATES:
        try:
            places = [
                train(folder, data, "fast", budget, seed, f"choose-{budget}-{seed}") for seed in range(seeds)
            ]
        except subprocess.CalledProcessError as error:
            if error.returncode != UsageError.exit_code:
                raise
            continue  # too short for this machine; the command said so
        scores = [(Run(place).scores("validation") or {})["accuracy"] for place in places]
        mean, deviation = statistics.mean(scores), statistics.stdev(scores)
        print(f"--time {budget}: validation accuracy {mean:.2%} ± {deviation:.2%}, {seeds} seeds", flush=True)
        if mean - 2 * deviation >= GOAL:
            print(f'The first that stays over {GOAL:.0%} by two deviations: SEVENTY = "{budget}"')
            return 0
    print(f"None stays over {GOAL:.0%} by two deviations.")
    return 1


# Stock Keras.


def theirs(note: Path, folder: Path, data: str, name: str, seed: int, minutes: float) -> None:
    """Trains a classic in a process of its own, and keeps its curve."""
    arrays = folder / "pictures.npz"
    if not arrays.exists():
        import numpy as np

        train, test = datasets.load(data, "train"), datasets.load(data, "test")
        part = arrays.with_name("part.npz")
        np.savez(part, x=train.images, y=train.labels, x_test=test.images, y_test=test.labels)
        part.replace(arrays)
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [name, str(arrays), "--seed", str(seed), "--minutes", str(minutes), "--since", str(time.time())]
    words += ["--goal", str(GOAL)] if seed else []
    command = [sys.executable, str(Path(__file__).with_name("stock.py")), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    results.keep(note, found | results.origin(machine.versions()))
    best = max(point["accuracy"] for point in found["points"])
    print(
        f"{note.stem}: best {best:.2%} in {len(found['points'])} epochs, {seconds_of(found):.0f} s",
        flush=True,
    )


# What is made of it.


@dataclasses.dataclass(frozen=True)
class Budget:
    """What Tenfold's runs of one budget came to. Accuracies in percent, seconds of the whole command."""

    name: str
    recipe: str
    notes: list[dict[str, Any]]

    @property
    def promised(self) -> float:
        return config.seconds(self.name)

    @property
    def until(self) -> float:
        """What the peers get: the promised time, or more where the command took more."""
        return max(self.promised, statistics.mean(self.walls))

    @property
    def walls(self) -> list[float]:
        return [note["wall"] for note in self.notes]

    @property
    def trained(self) -> list[float]:
        return [note["trained"] for note in self.notes]

    @property
    def plain(self) -> list[float]:
        return [100 * note["plain"] for note in self.notes]

    @property
    def views(self) -> list[float]:
        return [100 * note["views"] for note in self.notes]


def budgets(kept: Path) -> list[Budget]:
    """What is there of Tenfold, the shortest first."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for note in sorted(kept.glob("tenfold-*-*-*.json")):
        figures = json.loads(note.read_text("utf-8"))
        _, _, budget, _ = note.stem.rsplit("-", 3)
        found.setdefault((budget, figures["recipe"]), []).append(figures)
    made = [Budget(name, recipe, notes) for (name, recipe), notes in found.items()]
    return sorted(made, key=lambda budget: budget.promised)


def curves(kept: Path, seeds: str = "*") -> dict[str, list[dict[str, Any]]]:
    """What is there of the classics, by name. Seed "0" is the one that ran to its end."""
    found = {name: sorted(kept.glob(f"stock-{name}-{seeds}.json")) for name in PEERS}
    return {
        name: [json.loads(note.read_text("utf-8")) for note in notes]
        for name, notes in found.items()
        if notes
    }


def seconds_of(found: dict[str, Any]) -> float:
    return found["points"][-1]["wall"]


def best_by(runs: Sequence[dict[str, Any]], seconds: float, clock: str) -> float | None:
    """A classic's best accuracy in percent up to a time, mean over its seeds; None before all have one."""
    found = [
        max((100 * point["accuracy"] for point in run["points"] if point[clock] <= seconds), default=None)
        for run in runs
    ]
    there = [value for value in found if value is not None]
    return statistics.mean(there) if len(there) == len(runs) else None


def best_peer(peers: dict[str, list[dict[str, Any]]], seconds: float, clock: str) -> tuple[float, str] | None:
    """The best classic up to a time."""
    found = [
        (best, name) for name, runs in peers.items() if (best := best_by(runs, seconds, clock)) is not None
    ]
    return max(found, default=None)


def write(kept: Path, *, documented: bool) -> None:
    """Tables and plot, into the documents or, for a trial, beside the runs and on the screen."""
    found, peers = budgets(kept), curves(kept, "0")
    plot(found, peers, PLOT if documented else kept / PLOT.name)
    parts = {"time": time_table(found, peers)}
    if peers or any(budget.name == SEVENTY for budget in found):
        parts["seventy"] = seventy_table(found, curves(kept))
    for part, text in parts.items():
        if documented:
            results.write(part, text, packages=("keras", "torch", "tensorflow", "tensorflow-cpu", "python"))
        else:
            print(f"{text}\n")


def spread(values: Sequence[float], unit: str = " %", digits: int = 2) -> str:
    """Mean and deviation."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{unit}{deviation}"


def beside(budget: Budget, peers: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The peers' runs on the machine of a budget's."""
    machines = {note["machine"] for note in budget.notes}
    found = {name: [run for run in runs if run["machine"] in machines] for name, runs in peers.items()}
    return {name: runs for name, runs in found.items() if runs}


def time_table(found: list[Budget], peers: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        f"![Test accuracy over minutes]({PLOT.name})",
        "",
        "| `--time` | recipe | test accuracy | mean of 6 views | runs | whole command | best classic by then "
        "| loading left out | where, and commits |",
        "|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for budget in found:
        if budget.name == SEVENTY:
            continue
        by_then = [
            f"{best[0]:.2f} % `{best[1]}`"
            if (best := best_peer(beside(budget, peers), budget.until, clock))
            else "none yet"
            for clock in ("wall", "trained")
        ]
        lines.append(
            f"| {budget.name} | `{budget.recipe}` | **{spread(budget.plain)}** | **{spread(budget.views)}** "
            f"| {len(budget.notes)} | {spread(budget.walls, ' s', 1)} | {' | '.join(by_then)} "
            f"| {results.origins(budget.notes)} |"
        )
    if peers:
        lines += [
            "",
            "| stock Keras | batch | epochs | loading | an epoch | whole run | best test accuracy | runs "
            "| where, and commits |",
            "|---|--:|--:|--:|--:|--:|--:|--:|---|",
        ]
    for name, runs in peers.items():
        scores = [100 * max(point["accuracy"] for point in run["points"]) for run in runs]
        epoch = [run["points"][-1]["trained"] / len(run["points"]) for run in runs]
        lines.append(
            f"| `{name}` | {runs[0]['batch']} | {max(len(run['points']) for run in runs)} "
            f"| {statistics.mean(run['loading'] for run in runs):.1f} s | {statistics.mean(epoch):.1f} s "
            f"| {statistics.mean(map(seconds_of, runs)):.0f} s | {spread(scores)} | {len(runs)} "
            f"| {results.origins(runs)} |"
        )
    lines += [
        "",
        "Accuracy on the test pictures; mean and deviation over seeds, from 0 on. Tenfold trains on all",
        "training pictures (`--val-split 0`) and looks at the test pictures once a run, at its end; its time",
        "is that of the whole command. The classics are stock Keras on TensorFlow with the optimizer, batch",
        "and epochs of their READMEs; their time runs from the start of the process, or from the call of",
        "`fit` where loading is left out, and measuring is never counted. Their pictures lie decoded on the",
        "disk, and their best epoch up to then counts, chosen on the test pictures themselves.",
    ]
    return "\n".join(lines)


def seventy_table(found: list[Budget], peers: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        f"| to {GOAL:.0%} test accuracy | test accuracy | runs | with loading | Tenfold is faster by "
        "| without loading | Tenfold is faster by | bar |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    budget = next((budget for budget in found if budget.name == SEVENTY), None)
    if budget:
        lines.append(
            f"| `tenfold train --time {SEVENTY}` | {spread(budget.plain)} | {len(budget.notes)} "
            f"| {spread(budget.walls, ' s', 1)} | 1.0 "
            f"| {spread(budget.trained, ' s', 1)} | 1.0 | {GOAL:.0%} |"
        )
    for name, bar in BARS.items():
        runs = (beside(budget, peers) if budget else peers).get(name, [])
        firsts = [next((p for p in run["points"] if p["accuracy"] >= GOAL), None) for run in runs]
        reached = [point for point in firsts if point is not None]
        if not reached:
            continue
        walls, alone = ([point[clock] for point in reached] for clock in ("wall", "trained"))
        ratios = ["-", "-"]
        if budget:
            pairs = ((walls, budget.walls), (alone, budget.trained))
            ratios = [f"{statistics.mean(them) / statistics.mean(us):.1f}" for them, us in pairs]
        lines.append(
            f"| stock Keras, `{name}` | {spread([100 * point['accuracy'] for point in reached])} "
            f"| {len(reached)} of {len(runs)} | {spread(walls, ' s', 1)} | **{ratios[0]}** "
            f"| {spread(alone, ' s', 1)} | **{ratios[1]}** | {bar} |"
        )
    lines += [
        "",
        f"Tenfold's budget was set beforehand, on validation pictures: the first of {', '.join(CANDIDATES)}",
        "that stayed over the goal by two deviations (`--choose`). Its time with loading is that of the",
        "whole command, report included; without, that of `fit`. A classic's time ends with its first epoch",
        "at or over the goal. Its first run has its README's epochs, the others up to three times as many;",
        "one that did not get there is left out of the mean.",
    ]
    if budget:
        lines[-1] += f" Tenfold's runs: {results.origins(budget.notes)}."
    return "\n".join(lines)


def plot(found: list[Budget], peers: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Accuracy over minutes, on a white ground so that it can be read on any page."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    from tenfold.reporting.plots import LIGHT

    figure = Figure(figsize=(7.5, 4.5), layout="constrained", facecolor=LIGHT.paper)
    axes = figure.add_subplot(facecolor=LIGHT.paper)
    times = sorted(
        [point["wall"] for runs in peers.values() for run in runs for point in run["points"]]
        + [statistics.mean(budget.walls) for budget in found]
    )
    for name, runs in peers.items():
        own = [(seconds, best_by(runs, seconds, "wall")) for seconds in times]
        steps = [(seconds / 60, best) for seconds, best in own if best is not None]
        axes.step(*zip(*steps, strict=True), where="post", color=LIGHT.muted, linewidth=0.8, alpha=0.7)
        axes.annotate(name, steps[0], (2, -9), textcoords="offset points", color=LIGHT.muted, fontsize=7)
    top = [(seconds / 60, best[0]) for seconds in times if (best := best_peer(peers, seconds, "wall"))]
    if top:
        axes.step(
            *zip(*top, strict=True), where="post", color=LIGHT.orange, linewidth=2, label="best stock classic"
        )
    series = (
        ("plain", "Tenfold", LIGHT.blue, "o-"),
        ("views", "Tenfold, mean of 6 views", LIGHT.green, "s--"),
    )
    for attribute, label, colour, style in series:
        scores = [getattr(budget, attribute) for budget in found]
        if scores:
            axes.errorbar(
                [statistics.mean(budget.walls) / 60 for budget in found],
                [statistics.mean(values) for values in scores],
                [statistics.stdev(values) if len(values) > 1 else 0 for values in scores],
                fmt=style, color=colour, label=label, linewidth=2, markersize=5, capsize=3,
            )  # fmt: skip
    axes.set_xscale("log")
    ticks = [0.25, 0.5, *(config.seconds(budget) / 60 for budget in BUDGETS)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda minutes, _: f"{minutes:g}"))
    axes.set_xlabel("minutes since the command was started", color=LIGHT.ink)
    axes.set_ylabel("test accuracy, %", color=LIGHT.ink)
    axes.tick_params(colors=LIGHT.ink)
    axes.grid(color=LIGHT.grid, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=LIGHT.ink, loc="lower right")
    with matplotlib.rc_context({"svg.hashsalt": "tenfold"}):  # the same picture from the same figures
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
