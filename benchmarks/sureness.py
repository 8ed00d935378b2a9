"""Calibration of `fast` on CIFAR-10, and what withholding unsure answers gives, on test pictures.

    python benchmarks/sureness.py                 # three runs of five minutes
    python benchmarks/sureness.py --table         # run nothing, write what is there

Temperature, curve, threshold and familiarity are fitted on validation pictures when training ends; the test
pictures are looked at once a run. What has finished under --runs is not run again. Strange pictures are
digits, noise, blood cells (BCCD) and street scenes (CamVid), as far as TENFOLD_DATA has them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import results
from tenfold import datasets, images, paths
from tenfold.prediction import Prediction, Predictor
from tenfold.runs import Run

BUDGET, SEEDS = "5m", 3
WANTED = 0.02
BARS = {"validation": 0.01, "test": 0.015}  # calibration error
ERROR, COVERAGE = 0.03, 0.80  # of the answers given on test, at WANTED
STRANGE = 300  # pictures of each kind at most


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/sureness"), help="folder of the runs")
    parser.add_argument("--table", action="store_true", help="run nothing, write what is there")
    options = parser.parse_args()
    for seed in range(SEEDS):
        if not options.table:
            run(options.runs / f"fast-{seed}", seed)
    found = [Run(path.parent) for path in sorted(options.runs.glob("fast-*/test.json"))]
    if not found:
        raise SystemExit(f"{options.runs} holds no finished run. Expected: no --table, first.")
    results.write(
        "sureness", table(found), packages=("keras", "torch", "openvino", "scikit-learn", "scipy", "python")
    )
    return 0


def run(place: Path, seed: int) -> None:
    """Trains and evaluates through the command line what is not there yet."""
    if not (place / "summary.json").exists():
        words = ["train", "--recipe", "fast", "--time", BUDGET]
        words += ["--seed", str(seed), "--runs", str(place.parent)]
        tenfold(*words, "--name", place.name, "--exist-ok", "--quiet")
    if not (place / "test.json").exists():
        for split in ("validation", "test"):
            tenfold("evaluate", str(place), "--split", split, "--max-error", f"{WANTED:.0%}")


def tenfold(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "tenfold", *words], stdout=subprocess.DEVNULL, check=True)


def strange(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Kinds of pictures that no CIFAR-10 model knows, as files, some of them written into `folder`."""
    rng = np.random.default_rng(0)
    made = {
        "digits": datasets.load("digits").images[:STRANGE],
        "noise": rng.integers(0, 256, (STRANGE, 32, 32, 3), np.uint8),
    }
    for name, pixels in made.items():
        (folder / name).mkdir()
        for number, picture in enumerate(pixels):
            (folder / name / f"{number:03d}.png").write_bytes(images.encode_png(picture))
        yield name, sorted((folder / name).iterdir())
    home = Path(os.environ.get("TENFOLD_DATA", "."))
    for name, place in (("blood cells", "bccd/JPEGImages"), ("street scenes", "camvid/train")):
        if files := [path for path in paths.find([home / place]) if isinstance(path, Path)][:STRANGE]:
            yield name, files


def table(found: list[Run]) -> str:
    lines = [
        "| run | accuracy, validation / test | temperature | calibration error before | after, validation | "
        "after, test | answered of test | wrong of these | wrong of all |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    errors: dict[str, list[float]] = {"validation": [], "test": []}
    answered: list[tuple[float, float]] = []
    for one in found:
        held, test = one.scores("validation") or {}, one.scores("test") or {}
        told, fitted = test["answered"], one.calibration or {}
        for split, scores in (("validation", held), ("test", test)):
            errors[split].append(scores["calibration"]["calibration_error"])
        answered.append((told["coverage"], told["error"]))
        lines.append(
            f"| `{one.name}` | {held['accuracy']:.2%} / {test['accuracy']:.2%} | {fitted['temperature']:.2f} "
            f"| {fitted['before']['calibration_error']:.2%} | {errors['validation'][-1]:.2%} "
            f"| {errors['test'][-1]:.2%} | {told['coverage']:.1%} | {told['error']:.2%} "
            f"| {1 - test['accuracy']:.2%} |"
        )
    means = {split: statistics.mean(values) for split, values in errors.items()}
    share, wrong = (statistics.mean(values) for values in zip(*answered, strict=True))
    held, seen = means["validation"], means["test"]
    lines += [
        "",
        f"In the mean: calibration error {held:.2%} on validation, bar {BARS['validation']:.1%} "
        f"({met(held < BARS['validation'])}); {seen:.2%} on test, bar {BARS['test']:.1%} "
        f"({met(seen < BARS['test'])}). With `--max-error {WANTED:.0%}`, {share:.1%} of the test pictures "
        f"get an answer, bar {COVERAGE:.0%} ({met(share >= COVERAGE)}), and {wrong:.2%} of those are wrong, "
        f"bar {ERROR:.0%} ({met(wrong < ERROR)}). A calibration changes no answer.",
        "",
        "| strange pictures | not sure | of these, unlike all it knows |",
        "|---|--:|--:|",
        *_strangers(found[0]),
        "",
        f"`fast --time {BUDGET}` with a tenth of the training pictures for validation; commits of the runs: "
        f"{results.commits(found)}. Strange pictures by `{found[0].name}`.",
    ]
    return "\n".join(lines)


def _strangers(run: Run) -> Iterator[str]:
    predictor = Predictor(run, max_error=WANTED)
    with tempfile.TemporaryDirectory() as folder:
        for name, files in strange(Path(folder)):
            answers = [item for item in predictor.files(files) if isinstance(item, Prediction)]
            withheld = [item.doubt for item in answers if item.doubt]
            unlike = sum(doubt.startswith("unlike") for doubt in withheld)
            shares = [f"{count / len(answers):.0%}" for count in (len(withheld), unlike)]
            yield f"| {len(answers)} {name} | {' | '.join(shares)} |"


def met(yes: bool) -> str:
    return "met" if yes else "not met"


if __name__ == "__main__":
    sys.exit(main())
