"""A classifier of CIFAR-10 in less than 100,000 bytes: `micro` with and without a teacher, as int8 files.

    python benchmarks/micro.py                                  # two trainings: about an hour on two cores
    python benchmarks/micro.py --teacher runs/accurate          # another teacher
    python benchmarks/micro.py --table                          # run nothing, write what is there

The students differ in their teacher alone. Each is exported through the gate, its int8 ONNX file is scored on
the test pictures, once; nothing is chosen by that. What has finished under --runs is not run again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import results
from tenfold.runs import Run

MOST_BYTES, LEAST = 100_000, 0.85  # MLPerf Tiny's mark
FORMATS = {"onnx": "model-int8.onnx", "litert": "model-int8.tflite"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/micro"), help="folder of the runs")
    parser.add_argument("--teacher", type=Path, default=Path("runs/sureness/fast-0"), help="a finished run")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--table", action="store_true", help="run nothing, write what is there")
    options = parser.parse_args()
    students = {"alone": [], "taught": ["--teacher", str(options.teacher)]}
    length = [] if options.epochs is None else ["--epochs", str(options.epochs)]
    for name, words in students.items():
        if not options.table:
            run(options.runs / name, [*words, *length])
    found = [Run(options.runs / name) for name in students if (options.runs / name / "test.json").exists()]
    if not found:
        raise SystemExit(f"{options.runs} holds no finished run. Expected: no --table, first.")
    results.write("micro", table(found), packages=("keras", "torch", "openvino", "onnxruntime", "python"))
    return 0


def run(place: Path, words: list[str]) -> None:
    """Trains, exports and scores through the command line what is not there yet."""
    if not (place / "summary.json").exists():
        going = (place / "state" / "epoch.npz").exists()
        again = ["resume", str(place)]
        anew = ["train", "--recipe", "micro", *words, "--runs", str(place.parent), "--name", place.name]
        tenfold(*(again if going else [*anew, "--exist-ok"]))
    exports = place / "exports"
    if missing := [name for name, file in FORMATS.items() if not (exports / file).exists()]:
        tenfold("export", str(place), "--format", *missing, "--int8")
    if not (place / "test.json").exists():
        tenfold("evaluate", str(place), "--split", "test", "--precision", "int8")


def tenfold(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "tenfold", *words], check=True)


def table(found: list[Run]) -> str:
    """The Markdown table for docs/results.md."""
    lines = [
        "| student | parameters | accuracy, validation | int8 ONNX file on test (95% interval) | bytes, ONNX "
        "/ LiteRT | epochs | time |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    met = []
    for one in found:
        held, test = one.scores("validation"), one.scores("test")
        if test["precision"] != "int8":
            raise SystemExit(f"{one.path} was scored in {test['precision']}. Expected: int8.")
        sizes = {name: (one.path / "exports" / file).stat().st_size for name, file in FORMATS.items()}
        low, high = test["accuracy_interval"]
        met.append(test["accuracy"] >= LEAST and sizes["onnx"] < MOST_BYTES)
        lines.append(
            f"| `{one.name}` | {one.summary['parameters']:,} | {held['accuracy']:.2%} | "
            f"**{test['accuracy']:.2%}** ({100 * low:.1f} to {high:.1%}) | {sizes['onnx']:,} / "
            f"{sizes['litert']:,} | {one.summary['epochs']:.0f} | {one.summary['seconds'] / 60:.1f} min |"
        )
    lines += [
        "",
        f"Mark: {LEAST:.0%} on test in less than {MOST_BYTES:,} bytes: {'met' if any(met) else 'not met'}. "
        f"{_teacher(found)}Commits of the runs: {results.commits(found)}.",
    ]
    return "\n".join(lines)


def _teacher(found: list[Run]) -> str:
    for one in found:
        if (one.path / "teacher.json").exists():
            told = json.loads((one.path / "teacher.json").read_text(encoding="utf-8"))
            scores = Run(Path(told["run"])).scores("validation") or {}
            known = f", {scores['accuracy']:.2%} on validation" if scores else ""
            return f"The teacher is `{Path(told['run']).name}`{known}. "
    return ""


if __name__ == "__main__":
    sys.exit(main())
