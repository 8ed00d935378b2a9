"""The five classics and `fast` on the true CIFAR-10: test accuracy and time, written to docs/results.md.

    python benchmarks/classics.py                         # all of it: hours on two cores
    python benchmarks/classics.py --only tiny plain       # some of it; the table keeps what was found before

Every row comes from run folders under --runs. A run that is there and finished is not trained again, so the
benchmark can be stopped and started at will. The classics train on all 50,000 pictures, as their READMEs do,
so nothing is chosen by looking at held-out pictures; `fast` keeps its honest split.
"""

import argparse
import dataclasses
import statistics
import subprocess
import sys
from pathlib import Path

import results
import tenfold
from tenfold.runs import Run

# (recipe and options, what its README reports, the least this benchmark must show in percent, seeds)
ROWS = [
    ("tiny", "61.5 %", 61.0, (0, 1, 2)),
    ("plain", "about 69 %", 68.5, (0, 1, 2)),
    ("compact", "none", 69.0, (0, 1, 2)),
    ("batchnorm", "over 70 %", 72.0, (0,)),
    ("augmented", "none", 75.0, (0,)),
    ("fast", "-", 92.0, (0,)),
    ("fast --epochs 1", "-", 78.8, (0,)),  # the best of the classics, in less time than the quickest
]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/classics"), help="folder of the run folders")
    parser.add_argument("--only", nargs="*", help="recipes to train; default all")
    parser.add_argument("--speed", action="store_true", help="one epoch each, for the speed, machine idle")
    parser.add_argument("--table", action="store_true", help="train nothing, write what is there")
    options = parser.parse_args()
    for recipe, _, _, seeds in ROWS:
        wanted = not options.table and (not options.only or recipe in options.only)
        if wanted and options.speed and not is_fast(recipe):
            train(options.runs, recipe, f"{recipe}-speed", "--epochs", "1", "--exist-ok")
        elif wanted and not options.speed:
            for seed in seeds:
                train_and_test(options.runs, recipe, seed)
    results.write("classics", table(options.runs))
    results.replace(results.ROOT / "README.md", "summary", summary(options.runs))
    return 0


def is_fast(recipe: str) -> bool:
    """Whether a row is Tenfold's own, with its honest split, timed as a whole on the idle machine."""
    return recipe.startswith("fast")


def place(runs: Path, recipe: str, seed: int) -> Path:
    """The folder of one run."""
    return runs / f"{recipe.replace(' --', '-').replace(' ', '-')}-{seed}"


def train(runs: Path, recipe: str, name: str, *words: str) -> None:
    """Trains one run through the command line, as a user would."""
    command = [sys.executable, "-m", "tenfold", "train", "--recipe", *recipe.split(), "--runs", str(runs)]
    subprocess.run([*command, "--name", name, *words], check=True)


def train_and_test(runs: Path, recipe: str, seed: int) -> None:
    """Trains and evaluates one run, unless that is done already."""
    path = place(runs, recipe, seed)
    if (path / "test.json").exists():
        return
    if not (path / "summary.json").exists():
        split = [] if is_fast(recipe) else ["--val-split", "0"]
        train(runs, recipe, path.name, "--seed", str(seed), *split, "--exist-ok")
    subprocess.run([sys.executable, "-m", "tenfold", "evaluate", str(path), "--split", "test"], check=True)


@dataclasses.dataclass(frozen=True)
class Row:
    """One recipe's results: test accuracies in percent, the time of a whole run on the idle machine, and the
    commits that both come from."""

    recipe: str
    readme: str
    bar: float
    parameters: int
    scores: list[float]
    images_per_second: float
    minutes: float
    threads: int
    commits: str

    @property
    def accuracy(self) -> str:
        spread = f" ± {statistics.stdev(self.scores):.2f}" if len(self.scores) > 1 else ""
        return f"{statistics.mean(self.scores):.2f} %{spread}"


def rows(runs: Path) -> list[Row]:
    """The results of all recipes that have finished runs."""
    found = []
    for recipe, readme, bar, seeds in ROWS:
        done = [run for seed in seeds if (run := Run(place(runs, recipe, seed))).scores("test")]
        idle = Run(runs / f"{recipe}-speed") if not is_fast(recipe) else None
        if not done or (idle is not None and not idle.path.exists()):
            continue
        first, pictures = done[0], sum(done[0].data["counts"].values())
        if idle is None:
            speed, minutes = first.summary["images_per_second"], first.summary["seconds"] / 60
        else:
            speed = idle.summary["images_per_second"]
            minutes = first.summary["epochs"] * pictures / speed / 60
        scores = [100 * run.scores("test")["accuracy"] for run in done]
        threads = (idle or first).environment["threads"]
        size = first.summary["parameters"]
        commits = results.commits([*done, *([idle] if idle else [])])
        found.append(Row(recipe, readme, bar, size, scores, speed, minutes, threads, commits))
    return found


def table(runs: Path) -> str:
    """The Markdown table for docs/results.md."""
    lines = [
        "| recipe | parameters | its README | bar | test accuracy | runs | images/s | time | threads "
        "| commits |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows(runs):
        lines.append(
            f"| `{row.recipe}` | {row.parameters:,} | {row.readme} | {row.bar:.1f} % | **{row.accuracy}** "
            f"| {len(row.scores)} | {row.images_per_second:,.0f} | {row.minutes:.1f} min | {row.threads} "
            f"| {row.commits} |"
        )
    share = 1 - tenfold.recipe("fast").val_split
    lines += [
        "",
        "Accuracy on the 10,000 test pictures, one plain view; mean and deviation over seeds. The classics",
        f"train on all 50,000 pictures (`--val-split 0`), `fast` on {share:.0%} of them, its best epoch",
        "chosen on the rest. The time of `fast` is that of its whole run, validation included, loading left",
        "out; those of the classics are their epochs at the speed of one epoch on the idle machine, as their",
        "runs shared it with each other. The commits are those of the runs a row takes its figures from; a +",
        "marks changes that were not committed.",
    ]
    return "\n".join(lines)


def summary(runs: Path) -> str:
    """The short table for the README."""
    lines = ["| recipe | test accuracy | its README | training |", "|---|--:|--:|--:|"]
    for row in rows(runs):
        lines.append(f"| `{row.recipe}` | {row.accuracy} | {row.readme} | {row.minutes:.1f} min |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
