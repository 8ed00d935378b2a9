"""Ten minutes of `tenfold tune` on the recipe `tiny`, killed half-way, written to docs/results.md.

    python benchmarks/tuning.py                                   # about twenty minutes on two idle cores
    python benchmarks/tuning.py --time 60 --runs /tmp/tuning      # a try-out; writes nothing

First `tiny` is trained as its README gives it, on the split that every trial has. Then the study: a SIGKILL
at half the time, `tenfold resume` for the rest. What is chosen is chosen on validation pictures; at the end
both models are scored once on the test pictures, which no trial has seen.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import results
from tenfold import tuning
from tenfold.runs import Run, open_run
from tenfold.significance import bootstrap
from tenfold.tuning.study import ENDED, Study

BAR = 3.0  # points of validation accuracy


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/tuning"), help="takes the runs and the study")
    parser.add_argument("--time", type=int, default=600, help="seconds of the study")
    parser.add_argument("--table", action="store_true", help="run nothing, write what is there")
    options = parser.parse_args()
    start, study = options.runs / "start", options.runs / "study"
    if not (start / "summary.json").exists() and not options.table:
        tenfold("train", "--recipe", "tiny", "--runs", str(options.runs), "--name", start.name, "--exist-ok")
    killed = options.runs / "killed.txt"
    if not study.exists() and not options.table:
        told = search(options.runs, study, options.time)
        killed.write_text(told)
    for run in (start, study / "best"):
        if not (run / "test.json").exists() and not options.table:
            tenfold("evaluate", str(run), "--split", "test")
    text = table(open_run(start), tuning.open_study(study), killed.read_text())
    if options.time == parser.get_default("time"):
        results.write("tuning", text, ("keras", "torch", "python"))
    else:
        print(text)
    return 0


def tenfold(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "tenfold", *words], check=True)


def search(runs: Path, path: Path, seconds: int) -> str:
    """Runs the study with a kill at half the time, and says what became of the finished trials."""
    words = ["tune", "cifar10", "--recipe", "tiny", "--time", f"{seconds}s", "--runs", str(runs)]
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "tenfold", *words, "--name", path.name]) as process:
        time.sleep(seconds / 2)
        process.send_signal(signal.SIGKILL)
    before = [trial for trial in tuning.open_study(path).trials if trial.state in ENDED]
    tenfold("resume", str(path))
    took = time.monotonic() - began
    after = tuning.open_study(path)
    kept = sum(after.trials[trial.number] == trial for trial in before)
    values = [tuple(trial.values.items()) for trial in after.trials if trial.state in ENDED]
    lost = sum(trial.state == "lost" for trial in after.trials)
    return (
        f"Killed with SIGKILL after {seconds / 2:.0f} s with {len(before)} trials done; resumed, {kept} of "
        "them stand as they were, and no trial of the study is there twice: "
        f"{met(kept == len(before) and len(values) == len(set(values)))}. The {lost} that were running were "
        f"tried again. Both sessions took {took:.0f} s of the {seconds} s promised."
    )


def table(start: Run, study: Study, killed: str) -> str:
    best, scores = study.best, start.scores("validation") or {}
    if best is None:
        raise SystemExit(f"{study.path} has no finished trial.")
    model = Run(study.path / "best")
    tuned = model.scores("validation") or {}
    gain = 100 * (tuned["accuracy"] - scores["accuracy"])
    low, high = paired(start, model)
    lines = [
        "| settings | validation accuracy | test accuracy | parameters | trained in |",
        "|---|--:|--:|--:|--:|",
        row("`tiny` as its README gives it", start),
        row(f"trial {best.number}, the best", model),
        "",
        f"Gain on validation {gain:+.1f} points (95 % interval of the same pictures answered by both "
        f"{100 * low:+.1f} to {100 * high:+.1f}), bar {BAR:+.1f}: {met(gain >= BAR)}. The best of several "
        "scores flatters itself; the gain on test pictures, looked at once at the end, is "
        f"{100 * (accuracy(model, 'test') - accuracy(start, 'test')):+.1f} points.",
        "",
        f"{count(study, 'finished')} trials finished, {count(study, 'pruned')} were stopped early, "
        f"{count(study, 'cut')} cut by the end of the time, {count(study, 'failed')} failed; "
        f"{study.settings.workers} side by side, threads of each: {study.settings.threads}; a finished trial "
        f"took {statistics.median(trial.seconds for trial in study.finished):.0f} s in the median. {killed}",
        "",
        "| setting | from | to |",
        "|---|--:|--:|",
        *changes(study),
    ]
    return "\n".join(lines)


def row(name: str, run: Run) -> str:
    summary = run.summary
    return (
        f"| {name} | {accuracy(run, 'validation'):.2%} | {accuracy(run, 'test'):.2%} "
        f"| {summary['parameters']:,} | {summary['seconds']:.0f} s |"
    )


def accuracy(run: Run, split: str) -> float:
    scores = run.scores(split) or {}
    return float(scores["accuracy"])


def paired(first: Run, second: Run) -> tuple[float, float]:
    """The 95 % interval of the difference, from pictures that only one of the two answers right."""
    answers = [run.predictions("validation") for run in (first, second)]
    if answers[0]["ids"] != answers[1]["ids"]:
        raise SystemExit("The two runs hold different validation pictures.")
    right = [each["predicted"] == each["labels"] for each in answers]
    only = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    low, high = bootstrap(*only, len(right[0]))
    return low, high


def count(study: Study, state: str) -> int:
    return sum(trial.state == state for trial in study.trials)


def changes(study: Study) -> Sequence[str]:
    best = study.best
    values = best.values if best else {}
    return [
        f"| {name} | {shown(dimension.start)} | {shown(values[name])} |"
        for name, dimension in study.settings.space.items()
        if values[name] != dimension.start
    ]


def shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def met(yes: bool) -> str:
    return "met" if yes else "not met"


if __name__ == "__main__":
    sys.exit(main())
