"""Every format of some runs' models: held to the model, and measured side by side.

    python benchmarks/formats.py runs/sureness/fast-0 runs/classics/tiny-0    # some 15 minutes a run

Works on copies of the runs. Each is exported in all formats, and in 8-bit integers where a format has them;
a file that the parity gate refuses is named. Then `tenfold bench` measures what there is, each form in
processes of its own, in turn. Scores are those of validation pictures.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FORMATS = {
    "float32": ("onnx", "openvino", "litert", "saved_model", "torch", "keras"),
    "int8": ("onnx", "openvino", "litert"),
}
PACKAGES = ("keras", "torch", "tensorflow-cpu", "onnxruntime", "openvino", "python")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each form")
    parser.add_argument("--smoke", action="store_true", help="one short round; print the tables only")
    options = parser.parse_args()
    parts = [measured(run, 1 if options.smoke else options.rounds, options.smoke) for run in options.runs]
    text = "\n\n".join(parts)
    if options.smoke:
        print(text)
        return 0
    import results

    results.write("formats", text, PACKAGES)
    return 0


def measured(run: Path, rounds: int, smoke: bool) -> str:
    """The table of one run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(run, Path(folder) / run.name))
        refused = [
            f"{kind} {precision}: {said}"
            for precision, kinds in FORMATS.items()
            for kind in kinds
            if (said := exported(copy, kind, precision))
        ]
        words = ["bench", str(copy), "--json", "--rounds", str(rounds), "--seconds", "0.2" if smoke else "1"]
        done = tenfold(words)
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout)
    return "\n".join([f"`{run.name}`:", "", *table(found), "", *remarks(found, refused)])


def exported(run: Path, kind: str, precision: str) -> str:
    """Writes one file; returns why not where that fails."""
    done = tenfold(["export", str(run), "--format", kind, "--precision", precision])
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def tenfold(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tenfold", *words], capture_output=True, text=True)


def table(found: dict[str, Any]) -> list[str]:
    lines = [
        "| file | runtime | same class | accuracy | calibration error | size | opens in | memory "
        "| one picture, 1 / 2 threads | images/s by 256, 1 / 2 threads |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    forms: dict[tuple[str, str, str], dict[int, dict[str, Any]]] = {}
    for row in found["rows"]:
        if row["latency_p50"] is not None:
            forms.setdefault((row["file"], row["runtime"], row["precision"]), {})[row["threads"]] = row
    for (file, runtime, precision), rows in forms.items():
        first = rows[min(rows)]
        waits = " / ".join(f"{1000 * row['latency_p50']:.2f}" for row in rows.values())
        rates = " / ".join(f"{row['images_per_second']['256']:,.0f}" for row in rows.values())
        shares = (
            "" if first[key] is None else f"{first[key]:.2%}"
            for key in ("agreement", "accuracy", "calibration_error")
        )
        sizes = (
            f"{first['bytes'] / 1e6:.1f} MB",
            f"{first['load_seconds']:.2f} s",
            f"{first['memory_bytes'] / 2**20:.0f} MiB",
        )
        cells = [f"`{file}`", f"{runtime} {precision}", *shares, *sizes, f"{waits} ms", rates]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def remarks(found: dict[str, Any], refused: list[str]) -> list[str]:
    notes = [f"{row['file']} in {row['runtime']}: {row['note']}" for row in found["rows"] if row["note"]]
    words = (
        [f"Scores of {found['pictures']:,} validation pictures; same class: as the model in Keras."]
        if found["pictures"]
        else []
    )
    words += [
        "Opens in: from a process without the runtime to the first answer. Memory: the largest resident size "
        "of the process, with batches of 256 and one thread, Python included.",
        *(f"Refused: {reason}" for reason in refused),
        *dict.fromkeys(notes),
    ]
    return [" ".join(words)]


if __name__ == "__main__":
    sys.exit(main())
