"""What each augmentation alone costs the training of `fast`.

    python benchmarks/augmentation.py             # about ten minutes; writes its part of docs/results.md

One process, one model, the recipe's own settings but for augmentation. In turns it trains some steps without
any and as many with one, half of them on small pictures as in a run of `fast`; the cost is the ratio of the
two times. The pictures are random: none of these operations takes longer for what a picture shows.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable

from tenfold.config import Augmentation, Config, levels

BAR = 0.15
STEPS = 6  # of each size of picture
CHANGES = (
    "flip=random",
    "flip=both",
    "crop=4",
    "rotation=15",
    "shift=0.1",
    "zoom=0.1",
    "shear=10",
    "brightness=0.2",
    "contrast=0.3",
    "saturation=0.3",
    "cutout=8",
    "erasing=0.25",
    "mixup=0.2",
    "cutmix=1",
    "randaugment=2",
    "augmix=3",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--only", nargs="+", metavar="NAME=VALUE", default=CHANGES, help="these alone")
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args()
    changes = {name: levels.augment(Config(), f"none,{name}").augmentation for name in options.only}
    fit = prepared()
    for change in (Augmentation(), *changes.values()):
        fit(change)  # the first steps of each prepare kernels and memory
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in changes}
    for number in range(options.rounds):
        for name, change in changes.items():
            without = fit(Augmentation())
            found[name].append((without, fit(change)))
            cost = found[name][-1][1] / without - 1
            print(f"round {number + 1}: {name:<16} {cost:+7.1%} of {1000 * without:.0f} ms", flush=True)
    text = table(found)
    if options.dry_run:
        print(text)
    else:
        import results

        results.write("augmentation", text)
    return 0


def prepared() -> Callable[[Augmentation], float]:
    """A function that trains some steps with an augmentation and tells the seconds of a step."""
    import numpy as np

    import tenfold
    from tenfold import preparation
    from tenfold.batches import Batches, Epochs

    settings, _ = preparation.resolve(dataclasses.replace(tenfold.recipe("fast"), epochs=2))
    preparation.set_up(settings)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (settings.batch_size * STEPS, 32, 32, 3), np.uint8)
    labels = random.integers(0, 10, len(images))
    data = tenfold.Dataset(images, labels, tuple("0123456789"), tuple(map(str, range(len(labels)))))
    model = preparation.build(settings, data)

    def fit(change: Augmentation) -> float:
        batches = Batches(data, dataclasses.replace(settings, augmentation=change), one_hot=True)
        start = time.perf_counter()
        # Of the two epochs the first has small pictures.
        model.fit(batches, epochs=2, shuffle=False, callbacks=[Epochs(batches)], verbose=0)
        return (time.perf_counter() - start) / (2 * STEPS)

    return fit


def table(found: dict[str, list[tuple[float, float]]]) -> str:
    """Markdown: medians over the rounds, and the range of the costs."""
    costs = {name: [with_it / without - 1 for without, with_it in pairs] for name, pairs in found.items()}
    lines = [
        "| augmentation alone | ms a step, without and with | slower by, median | range |",
        "|---|--:|--:|--:|",
    ]
    for name, pairs in found.items():
        times = " and ".join(f"{1000 * statistics.median(each):.0f}" for each in zip(*pairs, strict=True))
        spread = f"{min(costs[name]):+.1%} to {max(costs[name]):+.1%}"
        lines.append(f"| `{name}` | {times} | **{statistics.median(costs[name]):+.1%}** | {spread} |")
    rounds = len(next(iter(found.values())))
    over = [name for name, shares in costs.items() if statistics.median(shares) > BAR]
    lines += [
        "",
        f"Training of `fast` with batches of 512, half of the steps on small pictures; {rounds} rounds, each",
        "right after as many steps without augmentation. The bar is "
        f"{BAR:.0%}: {'over it: ' + ', '.join(over) if over else 'none is over it'}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
