"""What `tenfold doctor` finds of planted faults and flipped labels, and how fast, to docs/results.md.

    python benchmarks/doctor.py                   # needs CIFAR-10; twelve minutes on two cores
    python benchmarks/doctor.py --only planted    # or copies: a minute each; labels: ten minutes

Test pictures are compared with training pictures in the part `copies`; nothing is chosen by them.
"""

import argparse
import dataclasses
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import results
from tenfold import datasets, images, machine, runs
from tenfold.datasets import Dataset
from tenfold.doctor import crossing, diagnosis, doctor
from tenfold.doctor.findings import Diagnosis
from tenfold.doctor.suspects import suspects

PICTURES, CUT, MISNAMED, EXACT, NEAR = 2000, 20, 20, 60, 60
FLIPPED = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("planted", "copies", "labels"))
    parser.add_argument("--run", type=Path, help="a run on CIFAR-10, for near duplicates by its features")
    parser.add_argument("--pictures", type=int, default=50_000, help="of which labels are flipped")
    parser.add_argument("--seconds", type=float, help="of training, all folds together")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return copies_child(options.run)
    parts = {
        "planted": planted,
        "copies": lambda: copies(options.run),
        "labels": lambda: labels(options.pictures, options.seconds),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            results.write(f"doctor-{name}", part(), ("keras", "torch", "numpy", "python"))
    return 0


def planted() -> str:
    """Recall and precision on a folder of 2,000 training pictures with faults in it."""
    with tempfile.TemporaryDirectory() as folder:
        truth = plant(Path(folder, "set"))
        start = time.perf_counter()
        found = doctor(Path(folder, "set"), suspects="none")
        seconds = time.perf_counter() - start
    rows = [
        counted("truncated", truth["truncated"], {item.id for item in pictures(found, "unreadable")}),
        counted("misnamed", truth["misnamed"], {item.id for item in pictures(found, "wrong-extension")}),
        counted("exact duplicates across splits", truth["exact"], exact_pairs(found)),
    ]
    near = near_pairs(found)
    rows.append(counted("near duplicates across splits", truth["near"], near))
    rows += [
        f"| - {kind} | {len(pairs)} | {len(pairs & near)} | {share(len(pairs & near), len(pairs))} | |"
        for kind, pairs in truth["kinds"].items()
    ]
    head = "| planted | number | found | recall | precision |\n|---|--:|--:|--:|--:|\n"
    tail = (
        f"\n\n{PICTURES:,} CIFAR-10 training pictures as files in train and test folders, seed 0; "
        f"{seconds:.1f} s. Precision counts what else was found of that kind as wrong."
    )
    return head + "\n".join(rows) + tail


def plant(folder: Path) -> dict:
    """Fills a folder with faults and returns what they are."""
    random = np.random.default_rng(0)
    data = datasets.load("cifar10")
    chosen = data.subset(random.permutation(len(data))[: PICTURES - EXACT - NEAR])
    tested = random.permutation(len(chosen)) < 300
    paths = []
    for row, (image, label) in enumerate(zip(chosen.images, chosen.labels, strict=True)):
        split = "test" if tested[row] else "train"
        paths.append(f"{split}/{chosen.class_names[label]}/{row:04d}.png")
        save(folder / paths[row], images.encode_png(image))
    rows = random.permutation(np.flatnonzero(~tested))
    cut, misnamed, exact, near = np.split(
        rows[: CUT + MISNAMED + EXACT + NEAR], [CUT, CUT + MISNAMED, CUT + MISNAMED + EXACT]
    )
    for row in cut:
        path = folder / paths[row]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for row in misnamed:
        (folder / paths[row]).rename((folder / paths[row]).with_suffix(".jpg"))
    truth: dict = {
        "truncated": {paths[row] for row in cut},
        "misnamed": {str(Path(paths[row]).with_suffix(".jpg")) for row in misnamed},
        "exact": set(),
        "near": set(),
        "kinds": {},
    }
    for row in exact:
        copy = paths[row].replace("train/", "test/").replace(".png", "-copy.png")
        save(folder / copy, images.encode_png(chosen.images[row]))
        truth["exact"].add(frozenset({paths[row], copy}))
    for number, row in enumerate(near):
        kind = list(CHANGES)[number % len(CHANGES)]
        content = CHANGES[kind](chosen.images[row], random)
        ending = ".jpg" if content.startswith(b"\xff\xd8") else ".png"
        copy = paths[row].replace("train/", "test/").replace(".png", f"-near{ending}")
        save(folder / copy, content)
        pair = frozenset({paths[row], copy})
        truth["near"].add(pair)
        truth["kinds"].setdefault(kind, set()).add(pair)
    return truth


def shifted(image: np.ndarray, random: np.random.Generator) -> bytes:
    down, right = [(0, 1), (1, 0), (1, 1), (0, -1), (-1, 0), (-1, -1)][random.integers(6)]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return images.encode_png(padded[1 - down : 33 - down, 1 - right : 33 - right])


def saved_again(image: np.ndarray, random: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=int(random.integers(50, 91)))
    return buffer.getvalue()


def brightened(image: np.ndarray, random: np.random.Generator) -> bytes:
    factor = random.choice([0.7, 0.8, 1.2, 1.3])
    return images.encode_png(np.clip(image * factor, 0, 255).astype(np.uint8))


def mirrored(image: np.ndarray, random: np.random.Generator) -> bytes:
    return images.encode_png(image[:, ::-1])


CHANGES: dict[str, Callable[[np.ndarray, np.random.Generator], bytes]] = {
    "shifted by a pixel": shifted,
    "saved again as JPEG, quality 50 to 90": saved_again,
    "brightened or darkened by 20 or 30 %": brightened,
    "mirrored": mirrored,
}


def save(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def pictures(found: Diagnosis, kind: str) -> list:
    return [item for finding in found.of(kind) for item in finding.pictures]


def exact_pairs(found: Diagnosis) -> set[frozenset[str]]:
    groups = [[item.id for item in finding.pictures] for finding in found.of("duplicate-across")]
    return {frozenset({ids[0], other}) for ids in groups for other in ids[1:]}


def near_pairs(found: Diagnosis) -> set[frozenset[str]]:
    return {
        frozenset({finding.pictures[first].id, finding.pictures[second].id})
        for finding in found.of("near-across")
        for first, second, _ in finding.details["pairs"]
        if finding.pictures[first].split != finding.pictures[second].split
    }


def counted(name: str, truth: set, found: set) -> str:
    right = len(truth & found)
    return f"| {name} | {len(truth)} | {right} | {share(right, len(truth))} | {share(right, len(found))} |"


def share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def copies(run: Path | None) -> str:
    """Near duplicates among all 60,000 pictures: how many, how fast, in how much memory."""
    rows = ["| search | test pictures with a copy in training | groups within a split | time | peak memory |"]
    rows.append("|---|--:|--:|--:|--:|")
    for given in dict.fromkeys((None, run)):
        words = [sys.executable, __file__, "--child", *(["--run", str(given)] if given else [])]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        name = "pixels alone" if given is None else f"with the features of a run of `{told['recipe']}`"
        rows.append(
            f"| {name} | {told['test']:,} ({told['test'] / 10_000:.2%}) | {told['within']:,} "
            f"| {told['seconds']:.0f} s, the search alone {told['search']:.0f} s "
            f"| {told['peak'] / 2**30:.2f} GiB |"
        )
    return "\n".join(rows)


def copies_child(path: Path | None) -> int:
    run = None if path is None else runs.open_run(path)
    start = time.perf_counter()
    found = doctor("cifar10", suspects="none", run=run)
    told = {
        "recipe": run.config.recipe if run else None,
        "test": found.touched(("duplicate-across", "near-across"), "test"),
        "within": len(found.of("duplicate")) + len(found.of("near-duplicate")),
        "seconds": time.perf_counter() - start,
        "search": found.seconds["duplicates"],
        "peak": machine.peak_memory(),
    }
    print(json.dumps(told))
    return 0


def labels(count: int, seconds: float | None) -> str:
    """Precision and recall of label suspects where 5 % of the labels are flipped."""
    random = np.random.default_rng(0)
    data = datasets.load("cifar10")
    data = data.subset(np.sort(random.permutation(len(data))[:count]))
    flipped = np.zeros(count, bool)
    flipped[random.permutation(count)[: round(FLIPPED * count)]] = True
    given = data.labels.copy()
    given[flipped] = (given[flipped] + random.integers(1, 10, flipped.sum())) % 10
    noisy = dataclasses.replace(data, labels=given)
    rows = ["| method | listed | precision | recall | precision at 70 % recall | time |"]
    rows.append("|---|--:|--:|--:|--:|--:|")
    settings = diagnosis.by_the_clock(count, seconds)
    methods = {
        "quick": crossing.quick,
        f"train, {crossing.TRAINED_FOLDS} folds of {settings.time:.0f} s": lambda noisy: crossing.trained(
            noisy, settings, listen=print
        ),
    }
    for name, answer in methods.items():
        start = time.perf_counter()
        probabilities = answer(noisy)
        passed = time.perf_counter() - start
        rows.append(row_of(name, probabilities, noisy, flipped, passed))
    tail = (
        f"\n\n{round(FLIPPED * count):,} of {count:,} training labels flipped to another class, seed 0. "
        "Labels that were wrong before count as right ones. The quick method lists its "
        f"strongest doubts only, {diagnosis.QUICK_SHARE:.0%} of the pictures."
    )
    return "\n".join(rows) + tail


def row_of(name: str, probabilities: np.ndarray, noisy: Dataset, flipped: np.ndarray, seconds: float) -> str:
    found = suspects(probabilities, noisy.labels).rows
    if name == "quick":
        found = found[: round(diagnosis.QUICK_SHARE * len(noisy))]
    hits = flipped[np.argsort(probabilities[np.arange(len(noisy)), noisy.labels], kind="stable")].cumsum()
    at = int(np.searchsorted(hits, 0.7 * flipped.sum())) + 1
    right = int(flipped[found].sum())
    return (
        f"| {name} | {len(found):,} | {share(right, len(found))} | {share(right, int(flipped.sum()))} "
        f"| {hits[at - 1] / at:.1%} | {seconds:.0f} s |"
    )


if __name__ == "__main__":
    sys.exit(main())
