"""Every architecture: its size, its training speed, and its test accuracy after a quarter of an hour.

    python benchmarks/models.py                       # all of it: five hours on two cores
    python benchmarks/models.py --only vit vgg16      # some of it
    python benchmarks/models.py --sizes               # parameters and FLOPs alone: two minutes
    python benchmarks/models.py --speed               # these and training speed: ten minutes
    python benchmarks/models.py --epoch               # one epoch of each, exported and opened again: an hour
    python benchmarks/models.py --schedule            # ResNet-20 as long as its recipe says: forty minutes
    python benchmarks/models.py --table               # find nothing, write what is there

Run it on an idle machine. It writes src/tenfold/models/measured.json, which the package ships and `tenfold
models` shows, and its part of docs/results.md. Runs that have finished under --runs are not trained again, so
it can be stopped and started at will.

Accuracy: `tenfold train --model NAME --recipe R --time 15m` on all training pictures, then one look at the
test pictures. The recipe is the architecture's own where it has one; `vit` for those that ask for AdamW;
`resnet20` for all others. No setting was chosen for an architecture by its accuracy: others may do better.
"""

import argparse
import dataclasses
import datetime
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import results
from tenfold import machine, recipes, zoo
from tenfold.runs import Run

NAMES = tuple(zoo.ABOUT)
# The recipe of an architecture that has none of its own name.
RECIPES = {name: "vit" if name in ("convmixer", "convnext") else "resnet20" for name in NAMES}
RECIPES |= {name: name for name in recipes.RECIPES if name in NAMES}
ROUNDS = 3  # of measuring the speed
TIME = "15m"
HERE = machine.versions()  # before the first figure is kept, which changes the sources
EPOCHS = results.FIGURES / "models-epoch"  # one each; delete it and the run to measure anew
PAPER, BAR = 0.9125, 0.91  # test accuracy of ResNet-20 as its paper reports it, and as it is wanted here


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/models"), help="folder of the run folders")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="MODEL")
    parser.add_argument("--time", default=TIME, help=f"for each; other than {TIME} is a trial, kept nowhere")
    parser.add_argument("--sizes", action="store_true", help="parameters and FLOPs alone")
    parser.add_argument("--speed", action="store_true", help="sizes and training speed alone")
    parser.add_argument("--epoch", action="store_true", help="train an epoch, export, open again")
    parser.add_argument("--schedule", action="store_true", help="ResNet-20 against its paper")
    parser.add_argument("--table", action="store_true", help="find nothing, write what is there")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CHILDREN[options.child[0]](options.child[1])))
    elif options.epoch:
        for name in options.only:
            epoch(options.runs, name)
        results.write("models-epoch", epochs())
    elif options.schedule:
        results.write("models-schedule", schedule(options.runs))
    else:
        if not options.table:
            find(options)
        if options.time == TIME and not options.sizes:
            results.write("models", table())
    return 0


def find(options: argparse.Namespace) -> None:
    """Finds what is asked for, and keeps each figure at once."""
    trial = options.time != TIME
    for name in () if trial else options.only:
        keep(name, **child("size", name))
        if not options.sizes:
            keep(name, speed=speed(name))
    for name in () if options.sizes or options.speed else options.only:
        run = trained(options.runs, name, options.time)
        print(f"{run.path}: {run.scores('test')['accuracy']:.2%}", flush=True)
        if not trial:
            keep(name, score=score(run, name))


def keep(name: str, **found: Any) -> None:
    """Lays what was found over what is known of an architecture."""
    known = zoo.figures()
    figures = known.get(name) or zoo.Figures(found["parameters"], found["flops"])
    zoo.keep({**known, name: dataclasses.replace(figures, **found)})


def child(what: str, name: str) -> dict[str, Any]:
    """What one of `CHILDREN` finds, in a process of its own."""
    words = [sys.executable, __file__, "--child", what, name]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} of {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def size(name: str) -> dict[str, int]:
    """Parameters and FLOPs, in a child."""
    from tenfold import models

    model = models.build(name, (32, 32, 3), 10)
    return {"parameters": model.count_params(), "flops": models.flops(model)}


def rate(name: str) -> dict[str, Any]:
    """Training speed, in a child."""
    from tenfold import planning, preparation

    found, settings = planning.training_speed(name)
    told = {"precision": settings.precision, "batch_size": settings.batch_size}
    return {"images_per_second": found, **told, "threads": preparation.threads(settings)}


CHILDREN = {"size": size, "rate": rate}


def speed(name: str) -> zoo.Speed:
    """Training speed, from several processes."""
    found = [child("rate", name) for _ in range(ROUNDS)]
    rounds = tuple(round(one.pop("images_per_second"), 1) for one in found)
    print(f"{name:<12} {', '.join(f'{value:,.0f}' for value in rounds)} images/s", flush=True)
    here = origin(f"tenfold models {name} --measure", HERE, datetime.date.today())
    return zoo.Speed(statistics.median(rounds), rounds, **found[0], origin=here)


def words(name: str) -> list[str]:
    """What `tenfold train` is told about an architecture."""
    return ["--model", name, "--recipe", RECIPES[name]]


def trained(runs: Path, name: str, time: str | None) -> Run:
    """A run by the clock, or by its recipe, scored on the test pictures, unless it is there already."""
    place = runs / f"{name}-{time or 'schedule'}"
    if not (place / "summary.json").exists():
        more = ["--val-split", "0", "--name", place.name, "--runs", str(runs)]
        more += ["--time", time] if time else []
        tenfold("train", *words(name), *more, "--exist-ok", "--quiet")
    if not (place / "test.json").exists():
        tenfold("evaluate", str(place), "--split", "test")
    return Run(place)


def score(run: Run, name: str) -> zoo.Score:
    """What a finished run's folder tells."""
    found = run.scores("test")
    command = " ".join(["tenfold train", *words(name), "--time", TIME, "--val-split 0"])
    day = datetime.date.fromtimestamp((run.path / "test.json").stat().st_mtime)
    made = origin(command, run.environment, day)
    return zoo.Score(found["accuracy"], found["pictures"], TIME, run.summary["epochs"], made)


def origin(command: str, told: dict[str, Any], day: datetime.date) -> zoo.Origin:
    """Where a figure comes from; `told` is what `machine.versions` told where it was found."""
    return zoo.Origin(
        command=command,
        date=str(day),
        machine=results.where(told),
        versions=", ".join(f"{name} {told[name]}" for name in ("keras", "torch", "python")),
        commit=told.get("commit", "unknown"),
    )


def tenfold(*given: str) -> None:
    """The command line, as a user would call it."""
    subprocess.run([sys.executable, "-m", "tenfold", *given], check=True)


def epoch(runs: Path, name: str) -> None:
    """Trains one epoch, exports through the gate, lets the file answer; keeps what it came to."""
    note = EPOCHS / f"{name}.json"
    if note.exists():
        return
    place = runs / f"{name}-epoch"
    file = place / "exports" / "model.onnx"
    if not file.exists():
        more = ["--epochs", "1", "--name", place.name, "--runs", str(runs), "--exist-ok", "--quiet"]
        tenfold("train", *words(name), *more)
        tenfold("export", str(place), "--format", "onnx")
    accuracies, answers = [], []
    for engine in ("keras", "onnxruntime"):
        tenfold("evaluate", str(place), "--engine", engine)
        run = Run(place)
        accuracies.append(run.scores("validation")["accuracy"])
        answers.append(run.predictions("validation")["predicted"])
    found = {
        "accuracy": accuracies[0],
        "exported": accuracies[1],
        "same": float((answers[0] == answers[1]).mean()),
        "bytes": file.stat().st_size,
    }
    results.keep(note, found | results.origin(run.environment))


def epochs() -> str:
    """What one epoch of each came to; a table."""
    notes = {name: EPOCHS / f"{name}.json" for name in NAMES}
    found = {name: json.loads(note.read_text("utf-8")) for name, note in notes.items() if note.exists()}
    lines = [
        "| model | validation accuracy | of its ONNX file | same class | ONNX file |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| `{name}` | {one['accuracy']:.2%} | {one['exported']:.2%} | {one['same']:.2%} "
        f"| {one['bytes'] / 1e6:.1f} MB |"
        for name, one in found.items()
    ]
    lines += [
        "",
        "5,000 validation pictures, answered by the run's `model.keras`, opened again, and by the ONNX file",
        "in onnxruntime; same class: the pictures that both name alike. Recipes as in the table above;",
        f"where, and commits: {results.origins(list(found.values()))}.",
    ]
    if missing := [f"`{name}`" for name in NAMES if name not in found]:
        lines[-1] += f" Not measured yet: {', '.join(missing)}."
    return "\n".join(lines)


def schedule(runs: Path) -> str:
    """What ResNet-20 reaches with its recipe, beside what its paper reports; a table."""
    run = trained(runs, "resnet20", None)
    scores = run.scores("test")
    low, high = scores["accuracy_interval"]
    lines = [
        "| `tenfold train --recipe resnet20 --val-split 0` | epochs | test accuracy | 95 % interval |",
        "|---|--:|--:|--:|",
        f"| here | {run.summary['epochs']} | **{scores['accuracy']:.2%}** | {low:.2%} to {high:.2%} |",
        f"| He et al., arXiv:1512.03385 | 164 | {PAPER:.2%} | |",
        "",
        f"One run, one plain view of the test pictures, looked at once; commit {results.commits([run])}. "
        f"Bar: {BAR:.0%} ({'met' if scores['accuracy'] >= BAR else 'not met'}).",
    ]
    return "\n".join(lines)


def table() -> str:
    """The Markdown table for docs/results.md."""
    lines = [
        "| model | parameters | FLOPs | images/s | epochs | test accuracy | recipe | paper |",
        "|---|--:|--:|--:|--:|--:|---|---|",
    ]
    known = zoo.figures()
    for name, (_, paper) in zoo.ABOUT.items():
        if (found := known.get(name)) is None:
            continue
        pace, epochs, accuracy = ["-"] * 3
        if found.speed is not None:
            pace = f"{found.speed.images_per_second:,.0f}"
        if found.score is not None:
            epochs, accuracy = f"{found.score.epochs:.1f}", f"**{found.score.accuracy:.2%}**"
        sizes = f"{found.parameters:,} | {found.flops / 1e6:,.1f} M"
        reached = f"{pace} | {epochs} | {accuracy} | `{RECIPES[name]}`"
        lines.append(f"| `{name}` | {sizes} | {reached} | {paper or '-'} |")
    speeds, scores = ([getattr(one, what) for one in known.values()] for what in ("speed", "score"))
    commits = [one.origin.commit for one in (*speeds, *scores) if one is not None]
    made = dict.fromkeys(commit[:10] + "+" * commit.endswith("+") for commit in commits)
    lines += [
        "",
        "FLOPs: of a forward pass for one picture of 32 x 32 pixels. images/s: a training step with batches",
        f"of 128 and momentum, in bfloat16 where that pays, median of {ROUNDS} processes; {origins(speeds)}.",
        f"Epochs, test accuracy: one run of `--time {TIME}` on all training pictures, one plain view of the",
        f"test pictures, looked at once; {origins(scores)}. Commits: {', '.join(made) or 'none'}.",
    ]
    return "\n".join(lines)


def origins(found: list[Any]) -> str:
    """Where figures were found, in words."""
    return "; ".join(zoo.machines(found)) or "not yet measured"


if __name__ == "__main__":
    sys.exit(main())
