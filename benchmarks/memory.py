"""Training on more pictures than fit into memory: what it takes, and what it costs, to docs/results.md.

    python benchmarks/memory.py        # needs CIFAR-10 and 12 GB of disk; ten minutes on two cores

CIFAR-10's training pictures at 192 x 192 pixels take 5.5 GB. The same run is made with them in memory, and
twice under a limit of 5.2 GB on the process, most of which Keras, torch and the network take: once when the
pictures have to be decoded first, once when they are found decoded. All three must end with the same weights.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import results

# The quickest of the networks, so that waiting for pictures would show.
SETTINGS = ("--recipe", "tiny", "--epochs", "1", "--precision", "float32")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=192, help="of the pictures, in pixels")
    parser.add_argument("--limit", type=float, default=5.2, help="of the process's own memory, in GB")
    parser.add_argument("--fraction", type=float, default=0.2, help="of the training pictures to learn from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rows = [
            train(home, "in memory", options, limited=False),
            train(home, "on the disk, decoded first", options, limited=True),
            train(home, "on the disk, found decoded", options, limited=True),
        ]
        decoded = sum(path.stat().st_size for path in (home / "limited").rglob("pixels")) / 1e9
    if len({row["weights"] for row in rows}) > 1:
        raise SystemExit("The runs ended with different weights.")
    head = "| pictures | seconds until the first step | images/s | own memory, GB |\n|---|--:|--:|--:|\n"
    lines = [
        f"| {row['name']} | {row['before']:.0f} | {row['speed']:.0f} | {row['peak'] / 1e9:.2f} |"
        for row in rows
    ]
    tail = (
        f"\n\nCIFAR-10 at {options.side} x {options.side} pixels, {decoded:.1f} GB decoded; the last two "
        f"runs could not take more than {options.limit:g} GB of memory (RLIMIT_DATA); one run each, "
        f"`tenfold train cifar10 --image-size {options.side} {' '.join(SETTINGS)} --fraction "
        f"{options.fraction:g}`. Own memory: the highest RssAnon. All three ended with the same weights."
    )
    results.write("memory", head + "\n".join(lines) + tail, ("keras", "torch", "numpy", "python"))
    return 0


def train(home: Path, name: str, options: argparse.Namespace, *, limited: bool) -> dict:
    """One run in a process of its own; the cache is its own too while nothing is limited."""
    run = name.replace(" ", "-").replace(",", "")
    cache = home / ("limited" if limited else "free")
    words = ["train", "cifar10", "--image-size", str(options.side), *SETTINGS, "--fraction"]
    words += [str(options.fraction), "--runs", str(home / "runs"), "--name", run, "--quiet"]
    limit = int(options.limit * 1e9)

    def bound() -> None:
        if limited:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    peak = [0]
    started = time.time()
    with subprocess.Popen(
        [sys.executable, "-m", "tenfold", *words],
        env={**os.environ, "TENFOLD_CACHE": str(cache)},
        preexec_fn=bound,
        stdout=subprocess.DEVNULL,
    ) as process:
        watcher = threading.Thread(target=watch, args=(process, peak))
        watcher.start()
        process.wait()
        watcher.join()
    if process.returncode:
        raise SystemExit(f"{name}: tenfold ended with code {process.returncode}.")
    path = home / "runs" / run
    notes = json.loads((path / "data.json").read_text())["notes"]
    if any("stay on the disk" in note for note in notes) != limited:
        raise SystemExit(
            f"{name}: the pictures were not; change --side or --limit for this machine's memory."
        )
    begun = (path / "splits.json").stat().st_mtime
    summary = json.loads((path / "summary.json").read_text())
    return {
        "name": name,
        "before": begun - started,
        "speed": summary["images_per_second"],
        "peak": peak[0],
        "weights": hashlib.sha256(weights(path / "model.keras")).hexdigest(),
    }


def watch(process: subprocess.Popen, peak: list[int]) -> None:
    """Keeps the highest anonymous resident size of a process, looked up ten times a second."""
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except OSError:
            return
        found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")]
        peak[0] = max(peak[0], *found, 0)
        time.sleep(0.1)


def weights(path: Path) -> bytes:
    """All weights of a saved model, as bytes."""
    from tenfold import models

    model = models.load(path)
    return b"".join(array.tobytes() for array in model.get_weights())


if __name__ == "__main__":
    sys.exit(main())
