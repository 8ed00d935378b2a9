"""Inference speed of one run's model: stock Keras, Keras on torch, and Tenfold's engines, in turn.

    python benchmarks/inference.py runs/classics/fast-0    # some minutes; writes its part of docs/results.md

Every contestant opens the same model in a process of its own, one after the other, several rounds. Stock
Keras on TensorFlow is called as fast as it goes, `model(x, training=False)`; `Model.predict` is what most
people write. Speeds are on the same random pictures. The answers are compared with float32 Keras on the
test pictures, the run's calibration applied to all, whose labels are not looked at; the look stands in the
run's ledger all the same.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 256
BARS = {"one picture": 20, "batches of 256": 6}
CONTESTANTS = {
    "stock Keras on TensorFlow, called": ("tensorflow", "call"),
    "stock Keras on TensorFlow, `predict`": ("tensorflow", "predict"),
    "Keras on torch, `predict`": ("torch", "predict"),
    "onnxruntime, float32": ("onnxruntime", "float32"),
    "OpenVINO, float32": ("openvino", "float32"),
    "int8, where asked for": ("auto", "int8"),
    "OpenVINO, as Tenfold chooses": ("openvino", "auto"),
}
OURS = ("auto", "openvino", "onnxruntime")
REFERENCE = "stock Keras on TensorFlow, called"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--calls", type=int, default=300, help="single pictures a round")
    parser.add_argument("--contestant", choices=CONTESTANTS, help="run one and print its figures as JSON")
    parser.add_argument(
        "--prepare", action="store_true", help="export, choose, write --pictures, and no more"
    )
    parser.add_argument("--pictures", type=Path, help="pictures to answer, as .npy")
    parser.add_argument("--smoke", action="store_true", help="print the table only; validation pictures")
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(figures(options)))
        return 0

    if options.prepare:
        prepare(options)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures.npy"
        # In a process of its own too: what a process starts inherits its peak memory.
        started([str(options.run), "--prepare", "--pictures", str(pictures), *["--smoke"] * options.smoke])
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
        for number in range(options.rounds):
            for name in CONTESTANTS:
                # Answers are the same every time, so the first round asks for them.
                found[name].append(child(name, options, pictures if number == 0 else None))
                speed, wait = found[name][-1]["images_per_second"], found[name][-1]["milliseconds"]
                print(f"round {number + 1}: {name:<38} {speed:7.0f} images/s {wait:8.2f} ms", flush=True)
        expected = np.load(f"{pictures}.{list(CONTESTANTS).index(REFERENCE)}.npy")
        closeness = {
            name: close(expected, np.load(f"{pictures}.{number}.npy"))
            for number, name in enumerate(CONTESTANTS)
        }
    text = table(found, closeness, len(expected), "validation" if options.smoke else "test")
    if options.smoke:
        print(text)
        return 0
    import results

    results.write("inference", text)
    return 0


def prepare(options: argparse.Namespace) -> None:
    """Exports and chooses, so that every contestant finds the same, and keeps the pictures to compare on."""
    from tenfold import runs, splits
    from tenfold.prediction import Predictor

    run = runs.open_run(options.run)
    Predictor(run)
    Predictor(run, precision="int8")
    dataset = splits.open_split(run, "validation") if options.smoke else splits.open_test(run)[0]
    np.save(options.pictures, dataset.images)


def child(name: str, options: argparse.Namespace, pictures: Path | None) -> dict[str, Any]:
    """Runs one contestant in a process of its own."""
    engine = CONTESTANTS[name][0]
    words = [str(options.run), "--contestant", name, "--calls", str(options.calls)]
    words += ["--pictures", str(pictures)] if pictures else []
    backend = engine if engine == "tensorflow" else "torch"
    return json.loads(started(words, KERAS_BACKEND=backend).splitlines()[-1])


def started(words: list[str], **environment: str) -> str:
    """What this program prints with other words, in a process of its own."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run([sys.executable, __file__, *words], env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def figures(options: argparse.Namespace) -> dict[str, Any]:
    """One contestant: seconds until its first answer, memory, speed, latency; its answers where asked for."""
    from tenfold import calibration, machine, runs

    run = runs.open_run(options.run)
    size = run.data["image_size"]
    random = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    start = time.perf_counter()
    answer = opened(options.run, *CONTESTANTS[options.contestant])
    answer(random[:1])
    ready = time.perf_counter() - start
    singles = timed(lambda: answer(random[:1]), options.calls)
    batches = timed(lambda: answer(random), 10)
    memory = machine.peak_memory()  # before the answers, whose number is none of the engine's doing
    if options.pictures:
        images = np.load(options.pictures)
        answers = np.concatenate([answer(images[at : at + BATCH]) for at in range(0, len(images), BATCH)])
        if CONTESTANTS[options.contestant][0] not in OURS:  # ours have the calibration in the file
            answers = calibration.calibrator(run.calibration)(answers)
        number = list(CONTESTANTS).index(options.contestant)
        np.save(f"{options.pictures}.{number}.npy", answers)
    return {
        "ready": ready,
        "memory": memory,
        "milliseconds": 1e3 * statistics.median(singles),
        "slowest": 1e3 * float(np.percentile(singles, 99)),
        "images_per_second": BATCH / statistics.median(batches),
    }


def opened(run: Path, engine: str, way: str) -> Callable[[np.ndarray], np.ndarray]:
    """A contestant as a function from uint8 pictures to probabilities."""
    if engine in OURS:
        from tenfold.prediction import Predictor

        return Predictor(run, engine=engine, precision=way).predict
    from tenfold import models

    model = models.load(run / "model.keras")
    if way == "predict":
        return models.predict_fn(model, batch_size=BATCH)
    logits = models.returns_logits(model)

    def call(images: np.ndarray) -> np.ndarray:
        outputs = np.asarray(model(images, training=False))
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True)) if logits else outputs
        return powers / powers.sum(axis=1, keepdims=True)

    return call


def timed(call: Callable[[], object], count: int) -> list[float]:
    """Seconds of every call, after a few that warm up."""
    for _ in range(3):
        call()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def close(expected: np.ndarray, answers: np.ndarray) -> tuple[float, float]:
    """Share of pictures with the same answer, and the largest difference of a probability."""
    from tenfold import engines

    difference, agreement = engines.compare(expected, answers)
    return agreement, difference


def table(
    found: dict[str, list[dict[str, Any]]],
    closeness: dict[str, tuple[float, float]],
    pictures: int,
    split: str,
) -> str:
    """The Markdown table: medians over rounds, and ratios taken round by round."""
    lines = [
        "| engine | one picture, ms (99 %) | faster by | batches of 256, images/s (range) | faster by "
        "| first answer, s | peak memory, MB | same answer | largest difference |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    stock = found[REFERENCE]
    best = {}
    for name, rounds in found.items():
        sooner = statistics.median(
            [a["milliseconds"] / b["milliseconds"] for a, b in zip(stock, rounds, strict=True)]
        )
        faster = statistics.median(
            [b["images_per_second"] / a["images_per_second"] for a, b in zip(stock, rounds, strict=True)]
        )
        best = {"one picture": sooner, "batches of 256": faster}  # of the last, Tenfold's choice
        speeds = [figure["images_per_second"] for figure in rounds]
        agreement, difference = closeness[name]
        one = f"{middle(rounds, 'milliseconds'):.2f} ({middle(rounds, 'slowest'):.2f})"
        lines.append(
            f"| {name} | {one} | {sooner:.1f} "
            f"| {statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f}) | {faster:.1f} "
            f"| {middle(rounds, 'ready'):.1f} | {middle(rounds, 'memory') / 2**20:,.0f} "
            f"| {agreement:.2%} | {difference:.1e} |"
        )
    verdicts = [
        f"{what}: {best[what]:.1f} times stock Keras, bar {bar} ({'met' if best[what] >= bar else 'not met'})"
        for what, bar in BARS.items()
    ]
    return "\n".join([*lines, "", f"Compared on {pictures:,} {split} pictures. {'; '.join(verdicts)}."])


def middle(rounds: list[dict[str, Any]], what: str) -> float:
    return statistics.median(figure[what] for figure in rounds)


if __name__ == "__main__":
    sys.exit(main())
