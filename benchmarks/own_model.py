"""How fast a user's own Keras model trains: against the built-in network that it is a copy of.

    python benchmarks/own_model.py                 # about eight minutes; writes its part of docs/results.md

The networks of three recipes are written anew in `own_networks.py` as users of Keras do, channels last, of
stock layers, and given to Tenfold as `--model FILE:FUNCTION`. Each contestant trains with the recipe's own
optimizer, batch, precision and augmentation, in a process of its own, one after the other, several rounds.
"As written" is the same model in the same `fit`, channels last and float32. Below that, whether networks that
are hard to rebuild come out the same.
"""

import argparse
import ast
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RECIPES = {"fast": 12, "batchnorm": 96, "augmented": 96}  # and the steps of an epoch
EPOCHS = 3  # the first warms up and is not counted
BAR = 0.85
OURS, THEIRS, WRITTEN = "built in", "own, --model", "own, as written"
HARD = (
    *("operators", "squeezed", "branched", "normalised", "attending", "nested", "augmenting", "custom"),
    *("subclassed", "mobilenet", "efficientnet"),
)
FILE = Path(__file__).with_name("own_networks.py")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--dry-run", action="store_true", help="print the tables, write nothing")
    parser.add_argument("--contestant", nargs=2, metavar=("RECIPE", "WAY"), help="run one, print JSON")
    parser.add_argument("--hard", action="store_true", help="rebuild the hard ones, print JSON")
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(speed(*options.contestant)))
        return 0
    if options.hard:
        print(json.dumps([outcome(name) for name in HARD]))
        return 0
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(options.rounds):
        for recipe in RECIPES:
            for way in (OURS, THEIRS, WRITTEN):
                measured = statistics.median(child("--contestant", recipe, way))
                found.setdefault((recipe, way), []).append(measured)
                print(f"round {number + 1}: {recipe:<10} {way:<16} {measured:7.0f} images/s", flush=True)
    text = f"{speeds(found)}\n\n{outcomes(child('--hard'))}"
    if options.dry_run:
        print(text)
        return 0
    import results

    results.write("own-model", text)
    return 0


def child(*words: str) -> Any:
    """What this file prints when it is run with other words."""
    command = [sys.executable, __file__, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def speeds(found: dict[tuple[str, str], list[float]]) -> str:
    """The table of speeds, and whether the bar is met."""
    lines = ["| network | way | images/s, median | range | of the built-in |", "|---|---|--:|--:|--:|"]
    shares = {}
    for (recipe, way), values in found.items():
        ratios = [one / other for one, other in zip(values, found[recipe, OURS], strict=True)]
        shares[recipe, way] = statistics.median(ratios)
        lines.append(
            f"| `{recipe}` | {way} | {statistics.median(values):,.0f} "
            f"| {min(values):,.0f} to {max(values):,.0f} | {shares[recipe, way]:.0%} |"
        )
    least = min(share for (_, way), share in shares.items() if way == THEIRS)
    met = "met" if least >= BAR else "not met"
    return "\n".join([*lines, "", f"Bar: a user's own model at {BAR:.0%} of the built-in or more: {met}."])


def outcomes(found: list[dict[str, Any]]) -> str:
    """The table of networks that are hard to rebuild."""
    lines = ["| a user's model | trains | parameters | made ready in |", "|---|---|--:|--:|"]
    lines += [
        f"| {each['what']} | {each['form']} | {each['parameters']:,} | {each['seconds']:.1f} s |"
        for each in found
    ]
    return "\n".join([*lines, "", "Made ready: built, saved, opened, rebuilt, compared on eight pictures."])


def pictures(count: int) -> Any:
    """Random pictures and labels: speed does not depend on what they show."""
    import numpy as np

    import tenfold

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
    names = tuple(map(str, range(count)))
    return tenfold.Dataset(images, random.integers(0, 10, count), tuple("0123456789"), names)


def speed(recipe: str, way: str) -> list[float]:
    """Images/s of every epoch but the first, through Tenfold's own preparation, batches and `fit`."""
    import tenfold
    from tenfold import preparation
    from tenfold.batches import Batches
    from tenfold.models import layout

    settings = dataclasses.replace(tenfold.recipe(recipe), small_pictures=0.0)
    if way != OURS:
        settings = dataclasses.replace(settings, model=f"{FILE}:{recipe}")
    settings, _ = preparation.resolve(settings)
    preparation.set_up(settings)
    data = pictures(settings.batch_size * RECIPES[recipe])
    own = preparation.adopt(settings, data)
    if own is not None:
        settings = own.applied(settings)
    model = preparation.build(settings, data, own)
    if way == WRITTEN:
        model = preparation.compiled(layout.original(model), settings, len(data))
    batches = Batches(data, settings, one_hot=settings.soft_labels)
    found = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        model.fit(batches, epochs=1, shuffle=False, verbose=0)
        found.append(len(data) / (time.perf_counter() - start))
    return found[1:]


def outcome(name: str) -> dict[str, Any]:
    """In which form one of the hard networks trains, and how long it takes to find that out."""
    from tenfold import preparation
    from tenfold.config import Config

    settings, _ = preparation.resolve(Config(model=f"{FILE}:{name}", precision="float32"))
    preparation.set_up(settings)
    data = pictures(64)
    start = time.perf_counter()
    own = preparation.adopt(settings, data)
    seconds = time.perf_counter() - start
    (note,) = own.notes[:1]
    told = note.rpartition(": ")[2].removesuffix(".")
    form = "rebuilt, channels_first" if "channels_first" in note else f"as written: {told}"
    functions = ast.parse(FILE.read_text(encoding="utf-8")).body
    (what,) = [ast.get_docstring(each) for each in functions if getattr(each, "name", "") == name]
    return {
        "what": what.removesuffix("."),
        "form": form,
        "parameters": own.model.count_params(),
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
