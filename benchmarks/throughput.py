"""Training speed of one network: Tenfold, stock Keras on TensorFlow, and a plain PyTorch loop, in turn.

    python benchmarks/throughput.py                    # about six minutes; writes its part of docs/results.md

The network is that of `fast`; every contestant runs in a process of its own, one after the other, several
rounds, on the same pictures, batch and optimizer (Nesterov SGD). Tenfold augments as its recipe does, the
others not. Stock Keras is what `model.fit` does as it comes: float32, XLA as Keras chooses. The last rows say
what the processor could do if a training step were nothing but its convolutions.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

BATCH, STEPS, EPOCHS = 512, 6, 3  # the first epoch warms up and is not counted


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--contestant", choices=CONTESTANTS, help="run one and print its images/s as JSON")
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(CONTESTANTS[options.contestant]()))
        return 0
    found: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for number in range(options.rounds):
        for name in CONTESTANTS:
            found[name].append(statistics.median(child(name)))
            print(f"round {number + 1}: {name:<28} {found[name][-1]:7.0f} images/s", flush=True)
    import results

    results.write("throughput", table(found))
    return 0


def child(name: str) -> list[float]:
    """Runs one contestant in a process of its own, on its own Keras backend."""
    backend = "tensorflow" if name.startswith("stock") else "torch"
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--contestant", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def table(found: dict[str, list[float]]) -> str:
    """The Markdown table: medians, and ratios taken round by round."""
    lines = [
        "| training step | images/s, median | range | Tenfold is faster by |",
        "|---|--:|--:|--:|",
    ]
    for name, speeds in found.items():
        ratios = [ours / theirs for ours, theirs in zip(found["Tenfold"], speeds, strict=True)]
        lines.append(
            f"| {name} | {statistics.median(speeds):,.0f} | {min(speeds):,.0f} to {max(speeds):,.0f} "
            f"| {statistics.median(ratios):.2f} |"
        )
    return "\n".join(lines)


def pictures() -> tuple:
    """Random pictures and labels: speed does not depend on what they show."""
    import numpy as np

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (BATCH * STEPS, 32, 32, 3), np.uint8)
    return images, random.integers(0, 10, len(images))


def timed(epoch: Callable[[], object]) -> list[float]:
    """Images/s of every epoch but the first."""
    speeds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        epoch()
        speeds.append(BATCH * STEPS / (time.perf_counter() - start))
    return speeds[1:]


def tenfold(optimizer: str = "sgd") -> list[float]:
    """`fast` through Tenfold's own preparation, batches and `fit`."""
    import dataclasses

    import tenfold
    from tenfold import preparation
    from tenfold.batches import Batches

    images, labels = pictures()
    data = tenfold.Dataset(images, labels, tuple("0123456789"), tuple(map(str, range(len(labels)))))
    settings = dataclasses.replace(
        tenfold.recipe("fast"), optimizer=optimizer, batch_size=BATCH, momentum=0.9, small_pictures=0.0
    )
    settings, _ = preparation.resolve(settings)
    preparation.set_up(settings)
    model = preparation.build(settings, data)
    batches = Batches(data, settings, one_hot=settings.label_smoothing > 0)
    return timed(lambda: model.fit(batches, epochs=1, shuffle=False, verbose=0))


def stock(precision: str = "float32", jit_compile: bool | str = "auto") -> list[float]:
    """The same network of stock Keras layers, channels last, through `fit` on arrays."""
    import keras

    from tenfold import models

    images, labels = pictures()
    model = models.build("fast", (32, 32, 3), 10, precision=precision)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit_compile)
    return timed(lambda: model.fit(images, labels, batch_size=BATCH, epochs=1, verbose=0))


def plain_torch() -> list[float]:
    """The same network in PyTorch: bfloat16 weights, channels last in memory, a loop by hand."""
    import torch
    from torch import nn

    def block(before: int, filters: int) -> list[nn.Module]:
        return [
            nn.Conv2d(before, filters, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(filters),
            nn.GELU(),
            nn.Conv2d(filters, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.GELU(),
        ]

    images, labels = pictures()
    layers = [nn.Conv2d(3, 24, 2), nn.GELU(), *block(24, 64), *block(64, 256), *block(256, 256)]
    net = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(256, 10, bias=False))
    net = net.to(torch.bfloat16).to(memory_format=torch.channels_last)
    net[0].requires_grad_(False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.float()
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(weights, 0.01, momentum=0.9, nesterov=True)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    y = torch.from_numpy(labels)

    def epoch() -> None:
        for start in range(0, len(x), BATCH):
            batch = x[start : start + BATCH].to(torch.bfloat16) / 64 - 2
            loss = nn.functional.cross_entropy(net(batch).float() / 9, y[start : start + BATCH])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return timed(epoch)


def convolutions(kind: str) -> list[float]:
    """Images/s if a step were the network's convolutions alone, forward and backward, nothing else."""
    import torch

    from tenfold import machine

    machine.keep_memory()
    dtype = getattr(torch, kind)
    shapes = [(24, 64, 31), (64, 64, 15), (64, 256, 15), (256, 256, 7), (256, 256, 7), (256, 256, 3)]
    pairs = []
    for number, (before, filters, size) in enumerate(shapes):
        x = torch.randn(BATCH, before, size, size, dtype=dtype).to(memory_format=torch.channels_last)
        kernel = torch.randn(filters, before, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
        pairs.append((x.requires_grad_(number > 0), kernel.requires_grad_()))  # the first input needs none

    def epoch() -> None:
        for _ in range(STEPS):
            for x, kernel in pairs:
                y = torch.nn.functional.conv2d(x, kernel, padding=1)
                torch.autograd.grad(y, [t for t in (x, kernel) if t.requires_grad], torch.ones_like(y))

    return timed(epoch)


CONTESTANTS: dict[str, Callable[[], list[float]]] = {
    "Tenfold": tenfold,
    "Tenfold, with the recipe's own optimizer": lambda: tenfold("muon"),
    "stock Keras on TensorFlow": stock,
    "stock Keras on TensorFlow, mixed_bfloat16, no XLA": lambda: stock("mixed_bfloat16", False),
    "plain PyTorch loop, bfloat16": plain_torch,
    "the convolutions alone, bfloat16": lambda: convolutions("bfloat16"),
    "the convolutions alone, float32": lambda: convolutions("float32"),
}


if __name__ == "__main__":
    sys.exit(main())
