"""Train, evaluate and predict on built-in digits, offline, in about a minute."""

import dataclasses
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tenfold.cli import backends, faults
from tenfold.cli.progress import duration

if TYPE_CHECKING:
    from tenfold.config import Config
    from tenfold.runs import Run

_PICTURES = 6


@dataclass(frozen=True)
class Options:
    """Train on the built-in digits, evaluate on their test pictures, predict a few files, report."""

    runs: Path = Path("runs")
    """Folder that holds all runs."""
    backend: Literal["auto", "torch", "tensorflow", "jax"] = "auto"
    """Keras backend. `auto`: KERAS_BACKEND where set, else torch."""


def run(options: Options) -> int:
    """Runs the whole way that pictures take, and says at the end what it was and what comes next."""
    started = time.monotonic()
    backends.choose(options.backend)
    backends.load()
    from tenfold import runs as folders
    from tenfold.cli import evaluate, predict, train
    from tenfold.prediction import Failure, Predictor

    print("The digits that come with scikit-learn: real handwriting, 8 x 8 pixels, ten classes.\n")
    made = train.train(_config(), options.runs, "demo", exist_ok=False, style="human")
    opened = folders.open_run(made.path)
    with faults.logged(opened.path):
        print("\nThe test pictures, which training has not seen:")
        predictor = Predictor(opened)
        evaluation, looks = predictor.evaluate("test")
        print("\n".join([*evaluate.lines(evaluation.to_dict()), str(looks)]))

        folder = opened.path / "pictures"
        _write_pictures(opened, folder)
        print(f"\nSome of them as files, predicted from {folder}; each name begins with the true digit:")
        found = predictor.files([folder])
        predict.show(item for item in found if not isinstance(item, Failure))
        print("\n".join(_farewell(opened, time.monotonic() - started)))
    return 0


def _config() -> "Config":
    from tenfold.recipes import recipe

    return dataclasses.replace(recipe("fast"), data="digits", epochs=8)


def _write_pictures(run: "Run", folder: Path) -> None:
    """Writes a few evaluated test pictures as PNG files, the true class first in the name.

    They come from the gallery of the evaluation, so this is no further look at the test set.
    """
    from tenfold import images

    gallery = run.gallery("test")
    if gallery is None:
        return
    pixels, rows = gallery
    labels = run.predictions("test")["labels"]
    # The gallery begins with the mistakes; a few of them and a few right ones are the better show.
    for number in _spread(len(rows), _PICTURES):
        name = f"{run.class_names[labels[rows[number]]]}-{rows[number]:04d}.png"
        run.write(f"{folder.name}/{name}", images.encode_png(pixels[number]))


def _spread(n: int, most: int) -> Iterable[int]:
    return sorted({number * (n - 1) // max(1, most - 1) for number in range(min(n, most))})


def _farewell(run: "Run", seconds: float) -> list[str]:
    from tenfold import reporting

    lines = [f"\nDone in {duration(seconds)}. Report: {reporting.report(run)}", ""]
    lines.append("These were digits, chosen because they need no download: an easy task, not a benchmark.")
    if os.environ.get("TENFOLD_DATA"):
        lines.append("TENFOLD_DATA is set. If CIFAR-10 lies there, train on it with: tenfold train")
    else:
        lines.append("CIFAR-10 is downloaded the first time you run: tenfold train")
        lines.append("Without a network, put its archive or folder where `tenfold checks` says it looks.")
    return lines
