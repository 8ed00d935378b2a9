"""Memory of a training run, time to help, and a run under another backend, written to docs/results.md.

    python benchmarks/promises.py runs/fast       # a finished run of `tenfold train`, trained under torch

Needs the TensorFlow extra. About two minutes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import results
from tenfold import models, runs, splits

PREDICT = """
import sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), batch_size=500, verbose=0))
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    run = runs.open_run(parser.parse_args().run)
    counts = ", ".join(f"{count:,} {split}" for split, count in run.data["counts"].items())
    peak = run.summary["peak_memory_bytes"] / 2**30
    command = f"tenfold train --recipe {run.config.recipe}"
    seconds = help_seconds()
    difference, agreement, pictures = across_backends(run)
    lines = [
        "| promise | bar | measured |",
        "|---|--:|--:|",
        f"| peak resident memory of `{command}` ({counts} pictures) | 2.5 GiB | {peak:.2f} GiB |",
        f"| `tenfold --help`, median and slowest of {len(seconds)} | 0.3 s "
        f"| {statistics.median(seconds):.2f} s, {max(seconds):.2f} s |",
        f"| the same run under torch and TensorFlow, {pictures:,} validation pictures: largest difference "
        f"of a probability | 1e-4 | {difference:.1e} |",
        f"| the same: pictures with the same answer | all | {agreement:.2%} |",
    ]
    results.write("promises", "\n".join(lines))
    return 0


def help_seconds(times: int = 10) -> list[float]:
    """Wall seconds of `tenfold --help` in fresh processes."""
    tenfold = str(Path(sys.executable).with_name("tenfold"))
    found = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run([tenfold, "--help"], stdout=subprocess.DEVNULL, check=True)
        found.append(time.perf_counter() - start)
    return found


def across_backends(run: runs.Run) -> tuple[float, float, int]:
    """Largest difference of a probability between torch and TensorFlow, share of equal answers, pictures."""
    images = splits.open_split(run, "validation").images
    logits = models.returns_logits(models.load(run.model_path))
    outputs = []
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "images.npy"), images)
        for backend in ("torch", "tensorflow"):
            words = [run.model_path, Path(folder, "images.npy"), Path(folder, f"{backend}.npy")]
            environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            subprocess.run([sys.executable, "-c", PREDICT, *map(str, words)], env=environment, check=True)
            outputs.append(np.load(words[-1]).astype(np.float64))
    if logits:
        powers = [np.exp(output - output.max(axis=1, keepdims=True)) for output in outputs]
        outputs = [power / power.sum(axis=1, keepdims=True) for power in powers]
    ours, theirs = outputs
    same = float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean())
    return float(np.abs(ours - theirs).max()), same, len(images)


if __name__ == "__main__":
    sys.exit(main())
