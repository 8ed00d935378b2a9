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

# (recipe, what its README reports, what this benchmark must show, seeds)
ROWS = [
    ("tiny", "61.5 %", 61.0, (0, 1, 2)),
    ("plain", "about 69 %", 68.5, (0, 1, 2)),
    ("compact", "none", 69.0, (0, 1, 2)),
    ("batchnorm", "over 70 %", 72.0, (0,)),
    ("augmented", "none", 75.0, (0,)),
    ("fast", "-", 92.0, (0,)),
]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/classics"), help="folder of the run folders")
    parser.add_argument("--only", nargs="*", help="recipes to train; default all")
    parser.add_argument(
        "--table", action="store_true", help="train nothing, write the table from what is there"
    )
    options = parser.parse_args()
    for recipe, _, _, seeds in ROWS:
        for seed in seeds:
            if not options.table and (not options.only or recipe in options.only):
                train_and_test(options.runs, recipe, seed)
    results.write("classics", table(options.runs))
    return 0


def train_and_test(runs: Path, recipe: str, seed: int) -> None:
    """Trains and evaluates one run through the command line, as a user would, unless it is there already."""
    name = f"{recipe}-{seed}"
    if (runs / name / "test.json").exists():
        return
    tenfold_command = [sys.executable, "-m", "tenfold"]
    split = [] if recipe == "fast" else ["--val-split", "0"]
    words = ["train", "--recipe", recipe, "--seed", str(seed), *split, "--runs", str(runs), "--name", name]
    subprocess.run([*tenfold_command, *words, "--exist-ok"], check=True)
    subprocess.run([*tenfold_command, "evaluate", str(runs / name), "--split", "test"], check=True)


def table(runs: Path) -> str:
    """The Markdown table over all finished runs."""
    lines = [
        "| recipe | parameters | its README | bar | test accuracy | runs | training | images/s | threads |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for recipe, readme, bar, seeds in ROWS:
        found = [Run(runs / f"{recipe}-{seed}") for seed in seeds]
        found = [run for run in found if run.scores("test")]
        if not found:
            continue
        scores = [100 * run.scores("test")["accuracy"] for run in found]
        spread = f" ± {statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
        seconds = statistics.median(run.summary["seconds"] for run in found)
        speed = statistics.median(run.summary["images_per_second"] for run in found)
        threads = found[0].environment["threads"]
        lines.append(
            f"| `{recipe}` | {found[0].summary['parameters']:,} | {readme} | {bar:.1f} % "
            f"| **{statistics.mean(scores):.2f} %**{spread} | {len(found)} "
            f"| {seconds / 60:.1f} min | {speed:,.0f} | {threads} |"
        )
    default = dataclasses.asdict(tenfold.recipe("fast"))["val_split"]
    return "\n".join(
        [
            *lines,
            "",
            "Accuracy on the 10,000 test pictures, one plain view; mean and deviation over seeds. The "
            f"classics train on all 50,000 pictures (`--val-split 0`), `fast` on {1 - default:.0%} of them "
            "with its best epoch chosen on the rest. Training times are medians, loading left out, "
            "validation included; where threads is 1, another job ran on the other core.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
