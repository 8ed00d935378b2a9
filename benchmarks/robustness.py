"""Accuracy of one run's model under 19 corruptions at five strengths, and how long it takes to know it.

    python benchmarks/robustness.py runs/classics/fast-0    # some minutes; writes its part of docs/results.md
    python benchmarks/robustness.py runs/classics/fast-0 --limit 100    # prints the table only

The validation pictures are scored, never the test pictures, so the means can be set beside each other and
beside published ones for CIFAR-10-C in kind, not digit by digit. The run is copied first and left as it is.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tenfold import runs, splits
from tenfold.corruptions import CANONICAL, CORRUPTIONS, SEVERITIES
from tenfold.prediction import Predictor
from tenfold.robustness import Robustness, robustness

BAR_SECONDS = 300
BAR_SPEED = 15_000  # pictures of 32 x 32 a second on one core, over all corruptions and strengths
BLOCK, ROUNDS = 128, 5


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run with validation pictures")
    parser.add_argument("--limit", type=int, help="so many pictures; print the table and write nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = runs.open_run(shutil.copytree(options.run, Path(folder) / options.run.name))
        dataset = splits.open_split(run, "validation")
        predictor = Predictor(run, precision="auto")
        stamps = [time.perf_counter()]

        def note(done: int, total: int) -> None:
            stamps.append(time.perf_counter())
            if done % 10 == 0 or done == total:
                print(f"{done} of {total}", file=sys.stderr, flush=True)

        found = robustness(predictor.predict, dataset, limit=options.limit, progress=note)
        # The clean pictures and the corruptions come first, the curves behind them.
        spent = [stamps[1 + len(CORRUPTIONS) * len(SEVERITIES)] - stamps[0], stamps[-1] - stamps[0]]
        start = time.perf_counter()
        for _ in range(ROUNDS):
            predictor.predict(dataset.images[:1000])
        answers = ROUNDS * len(dataset.images[:1000]) / (time.perf_counter() - start)
    speeds = microseconds(dataset.images[:BLOCK])
    text = table(found, spent, speeds, f"{predictor.engine}, {predictor.precision}", answers)
    if options.limit:
        print(text)
        return 0
    import results

    results.write("robustness", text, packages=("openvino", "onnxruntime", "numpy", "scipy", "python"))
    return 0


def microseconds(images: np.ndarray) -> dict[str, list[float]]:
    """Processor time of each corruption for one picture at each strength, in one thread, the fastest call."""
    spent: dict[str, list[float]] = {}
    for name, function in CORRUPTIONS.items():
        spent[name] = []
        for severity in SEVERITIES:
            seconds = []
            for number in range(ROUNDS):
                rng = np.random.default_rng(number)
                start = time.thread_time()
                function(images, severity, rng)
                seconds.append(time.thread_time() - start)
            spent[name].append(1e6 * min(seconds) / len(images))
    return spent


def table(
    found: Robustness, spent: list[float], speeds: dict[str, list[float]], engine: str, answers: float
) -> str:
    lines = [
        "| corruption | strength 1 | 2 | 3 | 4 | 5 | mean | µs a picture to make |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, scores in found.corruptions.items():
        cells = " | ".join(f"{score.accuracy:.1%}" for score in scores)
        mark = "" if name in CANONICAL else " *"
        lines.append(
            f"| {name}{mark} | {cells} | **{found.means[name]:.1%}** | {statistics.mean(speeds[name]):.0f} |"
        )
    low, high = found.clean.interval
    lines += [
        "",
        f"{found.pictures:,} validation pictures: {found.clean.accuracy:.1%} right as they are "
        f"({low:.1%} to {high:.1%}), {found.mean:.1%} in the mean over all ({found.relative_drop:.1%} less),",
        f"{found.canonical_mean:.1%} over the 15 of the literature's mean (without those marked *).",
        "",
    ]
    for name, curve in found.curves.items():
        points = ", ".join(
            f"{amount:g}: {score.accuracy:.1%}" for amount, score in zip(curve.at, curve.scores, strict=True)
        )
        lines.append(f"- {name}, in {curve.unit}: {points}")
    each = statistics.mean(value for values in speeds.values() for value in values)
    slowest = max(speeds, key=lambda name: statistics.mean(speeds[name]))
    lines += [
        "",
        f"All corruptions and strengths take {spent[0] / 60:.1f} minutes, bar {BAR_SECONDS / 60:g} "
        f"({met(spent[0] <= BAR_SECONDS)}), {spent[1] / 60:.1f} with the curves; the model ({engine}) "
        f"answers {answers:,.0f} pictures a second. Making the pictures takes {each:.0f} µs of one core",
        f"in the mean, {1e6 / each:,.0f} a second, bar {BAR_SPEED:,} ({met(1e6 / each >= BAR_SPEED)}); "
        f"slowest is {slowest}.",
    ]
    return "\n".join(lines)


def met(yes: bool) -> str:
    return "met" if yes else "not met"


if __name__ == "__main__":
    sys.exit(main())
