"""What five classes of CIFAR-10 teach about the other five: a new head against training from nothing.

    python benchmarks/transfer.py              # three quarters of an hour on two cores
    python benchmarks/transfer.py --table      # train nothing, write what is there

`fast` learns airplane to deer from all their training pictures. Its layers, frozen, then get a head for dog
to truck from 100 pictures a class; five draws of these pictures. Against it stands `fast` from nothing on the
same pictures, with as many epochs as score best on validation, draw by draw. The 5,000 test pictures of the
five new classes are looked at once for each run that is compared. What has finished under --runs is not run
again. Last, how fast each backbone of Keras looks at pictures here, whatever its weights.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import results
from tenfold import datasets, layers, machine, models
from tenfold.comparison import compare
from tenfold.models import backbones, heads
from tenfold.runs import Run
from tenfold.significance import CHANCE, in_words

KNOWN, NEW = range(5), range(5, 10)
DRAWS, PER_CLASS, HELD = 5, 100, 500
EPOCHS = (40, 80, 160, 320)  # that the training from nothing may choose from
TUNED = ("--freeze", "17", "--finetune-epochs", "20")  # all but the last block of `fast`
SECONDS = 4.0  # of looking at pictures, for each backbone


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"), help="folder of the runs")
    parser.add_argument("--data", default="cifar10", help="where CIFAR-10 is, as for `tenfold train`")
    parser.add_argument("--table", action="store_true", help="train nothing, write what is there")
    options = parser.parse_args()
    if not options.table:
        train_all(options.runs, options.data)
    text = "\n".join([*compared(options.runs), "", *speeds()])
    results.write("transfer", text)
    return 0


def train_all(runs: Path, data: str) -> None:
    draw_all(runs, data)
    done(runs / "known", str(runs / "known.npz"), "--recipe", "fast", "--val-split", "0.1")
    for draw in range(DRAWS):
        archive, seed = str(runs / f"new-{draw}.npz"), ("--seed", str(draw))
        origin = ("--from", str(runs / "known"), *seed)
        done(runs / f"head-{draw}", archive, *origin)
        done(runs / f"cached-{draw}", archive, *origin)  # the same again: its features are there
        done(runs / f"tuned-{draw}", archive, *origin, *TUNED)
        for epochs in EPOCHS:
            words = ("--recipe", "fast", "--batch-size", "64", "--epochs", str(epochs), *seed)
            done(runs / f"nothing-{draw}-{epochs}", archive, *words)
        for run in (f"head-{draw}", f"tuned-{draw}", best(runs, draw).name):
            if Run(runs / run).scores("test") is None:
                tenfold("evaluate", str(runs / run), "--split", "test")


def draw_all(runs: Path, data: str) -> None:
    """Writes one archive of the known classes, and one a draw of the new ones."""
    runs.mkdir(parents=True, exist_ok=True)
    if (runs / f"new-{DRAWS - 1}.npz").exists():
        return
    train, test = (datasets.load(data, split) for split in ("train", "test"))

    def write(name: str, classes: range, rows: dict[str, np.ndarray]) -> None:
        arrays = {"class_names": np.array(train.class_names[classes.start : classes.stop])}
        for split, chosen in rows.items():
            part = test if split == "test" else train
            arrays[f"x_{split}"] = part.images[chosen]
            arrays[f"y_{split}"] = part.labels[chosen] - classes.start
        np.savez(runs / name, **arrays)

    def of(part: datasets.Dataset, classes: range) -> np.ndarray:
        return np.flatnonzero(np.isin(part.labels, classes))

    write("known.npz", KNOWN, {"train": of(train, KNOWN), "test": of(test, KNOWN)})
    for draw in range(DRAWS):
        shuffled = np.random.default_rng(draw).permutation(of(train, NEW))
        classes = [shuffled[train.labels[shuffled] == each] for each in NEW]
        few = np.concatenate([each[:PER_CLASS] for each in classes])
        held = np.concatenate([each[PER_CLASS : PER_CLASS + HELD] for each in classes])
        write(f"new-{draw}.npz", NEW, {"train": few, "val": held, "test": of(test, NEW)})


def done(place: Path, data: str, *words: str) -> None:
    """Trains a run through the command line, unless it is there."""
    if not (place / "summary.json").exists():
        tenfold(
            *("train", data, "--runs", str(place.parent), "--name", place.name, "--exist-ok", "--quiet"),
            *words,
        )


def tenfold(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "tenfold", *words], stdout=subprocess.DEVNULL, check=True)


def best(runs: Path, draw: int) -> Run:
    """The training from nothing that scores best on validation pictures."""
    found = [Run(runs / f"nothing-{draw}-{epochs}") for epochs in EPOCHS]
    return max(found, key=lambda run: (run.scores("validation") or {})["accuracy"])


def compared(runs: Path) -> list[str]:
    lines = [
        "| draw | from nothing, epochs | test accuracy | new head | gain | p | upper layers too | gain | p |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows, pictures = [], 0
    for draw in range(DRAWS):
        nothing = best(runs, draw)
        found = compare([nothing, runs / f"head-{draw}", runs / f"tuned-{draw}"], split="test")
        pictures = found.pictures
        base, *sides = found.sides
        values = [base.accuracy]
        cells = [f"| {draw} | {nothing.config.epochs} | {base.accuracy:.2%} "]
        for side, difference in zip(sides, found.differences, strict=True):
            values += [side.accuracy, difference.p_adjusted]
            chance = in_words(difference.p_adjusted).removeprefix("p ").removeprefix("= ")
            cells.append(f"| {side.accuracy:.2%} | {side.accuracy - base.accuracy:+.2%} | {chance} ")
        lines.append("".join(cells) + "|")
        rows.append(values)
    means, deviations = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
    beaten = all(row[1] > row[0] and row[2] < CHANCE for row in rows)
    times = [Run(runs / f"cached-{draw}").summary["seconds"] for draw in range(DRAWS)]
    lines += [
        "",
        f"Means and deviations of {DRAWS} draws: from nothing {means[0]:.1%} ({deviations[0]:.1%}), a new "
        f"head {means[1]:.1%} ({deviations[1]:.1%}), with the last block tuned {means[3]:.1%} "
        f"({deviations[3]:.1%}). Bar: the frozen layers of other classes beat training from nothing in every "
        f"draw, by McNemar's test on the same {pictures:,} test pictures, corrected for two comparisons "
        f"({'met' if beaten else 'not met'}). From cached features a head took "
        f"{statistics.median(times):.1f} s for {PER_CLASS * len(NEW)} pictures and 30 epochs (median; with "
        "validation, saving and the first step), bar: seconds.",
    ]
    return ["\n".join(lines)]


def speeds() -> list[str]:
    """How many pictures a second each backbone turns into features, in float32."""
    lines = [
        "| `--backbone` | parameters | features | images/s, 32 x 32 enlarged to 96 x 96 |",
        "|---|--:|--:|--:|",
    ]
    images = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    for name in backbones.BACKBONES:
        model = models.build(
            backbones.PREFIX + name,
            (32, 32, 3),
            2,
            data_format=layers.training_format(),
            options={"enlarge": 3},
        )
        body, passes = heads.body(model), 0
        body.predict_on_batch(images)
        start = time.perf_counter()
        while (taken := time.perf_counter() - start) < SECONDS:
            body.predict_on_batch(images)
            passes += 1
        width = body.output_shape[-1]
        lines.append(
            f"| {name} | {body.count_params():,} | {width:,} | {passes * len(images) / taken:,.0f} |"
        )
    lines += [
        "",
        f"Keras on {machine.cores()} cores, batches of {len(images)}; features are computed once for each "
        "set of pictures. ImageNet weights were not at hand here, so no accuracy with them was measured.",
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
