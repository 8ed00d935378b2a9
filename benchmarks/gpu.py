"""Wall seconds to 94 % test accuracy on one GPU: the same recipe through torch and through JAX.

    python benchmarks/gpu.py               # some minutes on one GPU; writes its part of docs/results.md
    python benchmarks/gpu.py --smoke       # every step of it on a processor, with the digits; writes nothing

Each backend has a process of its own. Its first run warms up and compiles, and is told apart; under JAX the
others find the compiled step in JAX's own cache and still trace it anew. Then come --runs runs of
`tenfold.train` on all 50,000 training pictures, one seed each. Nothing is chosen on the way: batch, rate and
width are those of airbench94_muon (K. Jordan, arXiv:2404.00498; github.com/KellerJordan/cifar10-airbench),
with half as many epochs again, for what else differs. The test pictures are looked at once a run, after all
runs of a backend have been timed.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BACKENDS = ("torch", "jax")
GOAL = 94.0
BATCH, RATE, EPOCHS, WIDTH = 2000, 0.24, 12, 1.0
MISSING = 4  # exit code, as of Tenfold's own command


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contestant", nargs="+", choices=BACKENDS, default=BACKENDS, help="default both")
    parser.add_argument("--runs", type=int, default=10, help="timed runs of each, with seeds from 0")
    parser.add_argument("--data", default="cifar10", help="where CIFAR-10 is, as for `tenfold train`")
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu"), help="folder of the run folders")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch-size", type=int, default=BATCH)
    parser.add_argument("--learning-rate", type=float, default=RATE)
    parser.add_argument("--width", type=float, default=WIDTH)
    parser.add_argument("--smoke", action="store_true", help="two runs on the digits, on whatever is there")
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        return probe()
    if options.child:
        return train(options)
    if options.smoke:
        with tempfile.TemporaryDirectory() as folder:
            options.folder, options.runs = Path(folder), 2
            print(table(contest(options)))
        return 0
    found = contest(options)
    import results

    results.write("gpu", table(found), packages=("keras", "torch", "jax", "python"))
    return 0


def contest(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What every backend found; none starts before each has what it needs."""
    names = {backend: device(backend, options.smoke) for backend in options.contestant}
    found = {}
    for backend, name in names.items():
        start = [sys.executable, __file__, *sys.argv[1:], "--child", "--folder", str(options.folder)]
        with tempfile.TemporaryDirectory() as cache:
            environment = {
                **os.environ,
                "KERAS_BACKEND": backend,
                "JAX_COMPILATION_CACHE_DIR": cache,
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }
            command = [*start, "--runs", str(options.runs)]
            subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
        folder = options.folder / backend
        notes = [json.loads((folder / f"{number}.json").read_text("utf-8")) for number in range(options.runs)]
        scores = [test(folder / str(number)) for number in range(options.runs)]
        warm = json.loads((folder / "warm.json").read_text("utf-8"))
        found[backend] = {"device": name, "warm": warm, "runs": notes, "scores": scores}
    return found


def device(backend: str, smoke: bool) -> str:
    """What a backend computes on; leaves with one line where the backend or the GPU is missing."""
    if importlib.util.find_spec(backend) is None:
        leave(
            f"{backend} is not installed. Expected: pip install 'tenfold[{backend}]', or --contestant torch."
        )
    done = subprocess.run(
        [sys.executable, __file__, "--probe"],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    name = json.loads(done.stdout.splitlines()[-1])
    if name is None and not smoke:
        leave(
            f"No GPU was found: {backend} computes on the processor. Expected: a GPU and a build of "
            f"{backend} that sees it. Received: accelerator=None. --smoke tries every step without one."
        )
    return name or "the processor"


def leave(line: str) -> None:
    print(line, file=sys.stderr)
    raise SystemExit(MISSING)


def test(place: Path) -> dict[str, Any]:
    """Looks at the test pictures, which only a run that has ended may do."""
    from tenfold.runs import Run

    words = ["evaluate", str(place), "--split", "test", "--views", "shift", "--json"]
    subprocess.run([sys.executable, "-m", "tenfold", *words], stdout=subprocess.DEVNULL, check=True)
    return Run(place).scores("test") or {}


# What the children do.


def probe() -> int:
    """Prints the accelerator's name as JSON."""
    import tenfold  # noqa: F401 - sets the backend
    from tenfold import machine

    found = machine.accelerator()
    print(json.dumps(found.name if found else None))
    return 0


def train(options: argparse.Namespace) -> int:
    """The warm-up and the timed runs, each with a note of its times beside its folder."""
    import tenfold

    backend = os.environ["KERAS_BACKEND"]
    recipe = tenfold.recipe("fast")
    settings = dataclasses.replace(
        recipe,
        data=options.data,
        val_split=0.0,
        small_pictures=0.0,
        model_options={"width": options.width},
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        epochs=options.epochs,
    )
    if options.smoke:
        settings = dataclasses.replace(
            settings, data="digits", epochs=2, batch_size=500, model_options={"width": 0.1, "stem": 8}
        )
    for name in ("warm", *map(str, range(options.runs))):
        seeded = dataclasses.replace(settings, seed=0 if name == "warm" else int(name))
        start = time.perf_counter()
        run = tenfold.train(seeded, runs=options.folder / backend, name=name, exist_ok=True)
        call = time.perf_counter() - start
        summary = run.summary
        pictures = run.data["counts"]["train"] * summary["epochs"]
        note = {
            "call": call,
            "fit": summary["seconds"],
            "steps": pictures / summary["images_per_second"],
            "epochs": summary["epochs"],
            "batch": seeded.batch_size,
            "pictures": run.data["counts"]["train"],
            "precision": run.environment["precision"],
        }
        run.path.with_suffix(".json").write_text(json.dumps(note), encoding="utf-8")
        print(
            f"{backend}, {name}: {call:.1f} s, of which fit {note['fit']:.1f} s", file=sys.stderr, flush=True
        )
    return 0


# What the parent makes of it.


def table(found: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| backend | device | precision | whole call of `train` | its `fit` | the steps alone "
        "| first run's `fit` | test accuracy | mean of 6 views | runs |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for backend, one in found.items():
        times = [spread([note[clock] for note in one["runs"]], " s") for clock in ("call", "fit", "steps")]
        plain = [100 * scores["accuracy"] for scores in one["scores"]]
        views = [100 * scores["views"]["accuracy"] for scores in one["scores"]]
        verdict = "reached" if statistics.mean(views) >= GOAL else "missed"
        lines.append(
            f"| {backend} | {one['device']} | {one['warm']['precision']} | **{times[0]}** | {times[1]} "
            f"| {times[2]} | {one['warm']['fit']:.1f} s | {spread(plain, ' %')} "
            f"| **{spread(views, ' %')}**, {GOAL:g} % {verdict} | {len(plain)} |"
        )
    note = next(iter(found.values()))["warm"]
    lines += [
        "",
        f"Mean and deviation over seeds; {note['epochs']} epochs of {note['pictures']:,} pictures in batches "
        f"of {note['batch']:,},",
        "settings fixed beforehand. The whole call reads the decoded pictures from the disk, builds the",
        "model, trains, and saves after every epoch; `fit` leaves out what comes before and after it, the",
        "steps alone leave out saving too. The first run of a process compiles and warms up; it is counted",
        "nowhere else.",
    ]
    return "\n".join(lines)


def spread(values: Sequence[float], unit: str) -> str:
    """Mean and deviation."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{unit}{deviation}"


if __name__ == "__main__":
    sys.exit(main())
