"""Where one training step of `fast` goes, and how near it comes to the processor's own convolutions.

    python benchmarks/step.py                     # about four minutes; writes its part of docs/results.md

Three contestants, each in a process of its own, one after the other, several rounds, with the threads and the
allocator that Tenfold trains with:

- `step` fits the model as Tenfold builds it on Tenfold's batches, times the epochs, then runs one more under
  torch's profiler and sorts the kernels' own time into groups.
- `float32`, `bfloat16` time every convolution of the network alone: forward, gradient of its input, gradient
  of its kernel, each as far as a step needs it; beside them a square convolution and a matrix product.

The ceiling is the fastest forward convolution in bfloat16, its median over the rounds. The arithmetic of a
step counts what is computed and no more: a layer's forward pass once, the gradient of its weights only where
they are trained, the gradient of its input only where a layer before it is trained. So the frozen whitening
counts once, the first convolution after it twice, all others three times. A multiply and an add are two
operations, and padding counts as if it were pixels. Batch norm, activations, pools and the optimizer's own
matrix products are time but not counted as arithmetic.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

STEPS, EPOCHS = 12, 3  # the first epoch warms up and is not counted
REPEATS = 7  # of every kernel measured alone; the first is not counted
BAR, AIM = 0.50, 0.70  # share of the ceiling
CONTESTANTS = ("step", "bfloat16", "float32")

# Kernels by the group they belong to: by parts of torch's names, the first that fits, or by a label around.
UNDER = {"optimizer": "optimizer", "batches": "augmentation and batches (host)"}
KERNELS = {
    "convolution, backward (input and kernel)": ("convolution_backward", "ConvolutionBackward"),
    "convolution, forward": ("convolution", "aten::conv2d"),
    "pooling, batch norm and activation, compiled": ("NormGelu",),
    "pooling": ("pool2d", "MaxPool", "aten::amax", "aten::max", "AmaxBackward", "MaxBackward"),
    "batch norm": ("batch_norm", "BatchNorm"),
    "activation": ("gelu", "Gelu", "relu", "Relu", "silu", "Silu"),
    "copies and fills": ("aten::copy_", "aten::fill_", "aten::zero_", "aten::empty", "aten::clone"),
}
REST, PYTHON, PROFILER = "everything else", "outside all kernels: Python and Keras", "without the profiler"
GROUPS = (*KERNELS, *UNDER.values(), REST, PYTHON, PROFILER)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--dry-run", action="store_true", help="print the tables, write nothing")
    parser.add_argument("--contestant", choices=CONTESTANTS, help="run one and print what it found as JSON")
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(step() if options.contestant == "step" else alone(options.contestant)))
        return 0
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
    for number in range(options.rounds):
        for name in CONTESTANTS:
            found[name].append(child(name))
            print(f"round {number + 1}: {name:<9} {headline(name, found[name][-1])}", flush=True)
    text = tables(found)
    if options.dry_run:
        print(text)
        return 0
    import results

    results.write("step", text)
    return 0


def child(name: str) -> dict[str, Any]:
    """Runs one contestant in a process of its own."""
    command = [sys.executable, __file__, "--contestant", name]
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def headline(name: str, found: dict[str, Any]) -> str:
    if name == "step":
        return f"{found['seconds'] * 1000:.0f} ms a step, {found['images_per_second']:.0f} images/s"
    return f"{1000 * sum(sum(line['seconds'].values()) for line in found['network']):.0f} ms in convolutions"


# What the children do.


def prepared() -> tuple[Any, Any, Any]:
    """`fast` as `tenfold train` has it: settings, model and random pictures for one epoch."""
    import numpy as np

    import tenfold
    from tenfold import preparation

    # Whole pictures all the time: the operations of small ones would have to be counted apart.
    settings = dataclasses.replace(tenfold.recipe("fast"), small_pictures=0.0)
    settings, _ = preparation.resolve(settings)
    preparation.set_up(settings)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (settings.batch_size * STEPS, 32, 32, 3), np.uint8)
    labels = random.integers(0, 10, len(images))
    data = tenfold.Dataset(images, labels, tuple("0123456789"), tuple(map(str, range(len(labels)))))
    return settings, preparation.build(settings, data), data


def step() -> dict[str, Any]:
    """Seconds of a step, and of each group of kernels in it."""
    import torch

    from tenfold.batches import Batches

    class Labelled(Batches):
        def __getitem__(self, number: int) -> Any:
            with torch.profiler.record_function("batches"):
                return super().__getitem__(number)

    settings, model, data = prepared()
    update = model.optimizer.apply

    def apply(*arguments: Any, **options: Any) -> Any:
        with torch.profiler.record_function("optimizer"):
            return update(*arguments, **options)

    model.optimizer.apply = apply
    batches = Labelled(data, settings, one_hot=settings.label_smoothing > 0)

    def epoch() -> float:
        start = time.perf_counter()
        model.fit(batches, epochs=1, shuffle=False, verbose=0)
        return (time.perf_counter() - start) / STEPS

    seconds = statistics.median([epoch() for _ in range(EPOCHS)][1:])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        watched = epoch()
    groups = dict.fromkeys(GROUPS, 0.0)
    others: dict[str, float] = {}
    for event in profile.events():
        own = event.self_cpu_time_total / 1e6 / STEPS
        group = group_of(event)
        groups[group] += own
        if group == REST:
            others[event.name] = others.get(event.name, 0.0) + own
    groups[PYTHON] = watched - sum(groups.values())
    groups[PROFILER] = seconds - watched
    return {
        "seconds": seconds,
        "images_per_second": settings.batch_size / seconds,
        "batch": settings.batch_size,
        "precision": settings.precision,
        "threads": torch.get_num_threads(),
        "flops": sum(sum(flops(work).values()) for work in network(model)),
        "groups": groups,
        "others": sorted(others.items(), key=lambda item: -item[1])[:6],
    }


def group_of(event: Any) -> str:
    """The group of a profiled event: by a label around it, else by its own name."""
    above = event
    while above is not None:
        if above.name in UNDER:
            return UNDER[above.name]
        above = above.cpu_parent
    for group, names in KERNELS.items():
        if any(name in event.name for name in names):
            return group
    return REST


@dataclasses.dataclass(frozen=True)
class Work:
    """One layer with a kernel: what it costs in a training step. Sizes are in pixels."""

    before: int  # channels in
    filters: int  # channels out
    kernel: int
    size_in: int
    size_out: int
    padding: int
    trained: bool
    feeds_back: bool  # something before it is trained, so its input needs a gradient

    @property
    def name(self) -> str:
        if self.kernel == 0:
            return f"linear, {self.before} to {self.filters}"
        return (
            f"{self.kernel}x{self.kernel}, {self.before} to {self.filters}, {self.size_in} x {self.size_in}"
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """What a training step computes of it."""
        wanted = {"forward": True, "input": self.feeds_back, "kernel": self.trained}
        return tuple(part for part, is_wanted in wanted.items() if is_wanted)


def flops(work: Work) -> dict[str, int]:
    """Floating-point operations a picture, of each part that a training step computes."""
    places = max(1, work.size_out**2)
    return dict.fromkeys(work.parts, 2 * places * max(1, work.kernel) ** 2 * work.before * work.filters)


def network(model: Any) -> list[Work]:
    """The layers of the training model that have a kernel, in order."""
    found, feeds_back = [], False
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            shape = tuple(kernel.shape)
            flat = len(shape) == 2
            found.append(
                Work(
                    before=shape[-2],
                    filters=shape[-1],
                    kernel=0 if flat else shape[0],
                    size_in=0 if flat else layer.input.shape[-1],
                    size_out=0 if flat else layer.output.shape[-1],
                    padding=0 if flat or layer.padding == "valid" else shape[0] // 2,
                    trained=layer.trainable,
                    feeds_back=feeds_back,
                )
            )
        feeds_back = feeds_back or bool(layer.trainable_weights)
    return found


def alone(kind: str) -> dict[str, Any]:
    """Seconds of the network's convolutions and of two yardsticks, each alone, in one precision."""
    import torch

    settings, model, _ = prepared()
    convolutions = [work for work in network(model) if work.kernel]
    square = Work(256, 256, 3, 8, 8, 1, trained=True, feeds_back=True)
    dtype = getattr(torch, kind)
    a, b = (torch.randn(2048, 2048, dtype=dtype) for _ in "ab")
    return {
        "batch": settings.batch_size,
        "network": [measured(work, settings.batch_size, dtype) for work in convolutions],
        "square": measured(square, settings.batch_size, dtype),
        "product": 2 * 2048**3 / median_seconds(lambda: a @ b) / 1e9,
    }


def measured(work: Work, batch: int, dtype: Any) -> dict[str, Any]:
    """Seconds, and GFLOP/s, of each part of one convolution, in NHWC memory."""
    import torch

    def tensor(*shape: int) -> Any:
        return torch.randn(*shape, dtype=dtype).to(memory_format=torch.channels_last)

    x = tensor(batch, work.before, work.size_in, work.size_in)
    kernel = tensor(work.filters, work.before, work.kernel, work.kernel)
    gradient = tensor(batch, work.filters, work.size_out, work.size_out)
    padding = [work.padding] * 2

    def backward(*wanted: bool) -> Any:
        return torch.ops.aten.convolution_backward(
            gradient, x, kernel, None, [1, 1], padding, [1, 1], False, [0, 0], 1, [*wanted, False]
        )

    run: dict[str, Callable[[], Any]] = {
        "forward": lambda: torch.nn.functional.conv2d(x, kernel, padding=work.padding),
        "input": lambda: backward(True, False),
        "kernel": lambda: backward(False, True),
    }
    seconds = {part: median_seconds(run[part]) for part in work.parts}
    rates = {part: count * batch / seconds[part] / 1e9 for part, count in flops(work).items()}
    return {"name": work.name, "seconds": seconds, "gflops": rates}


def median_seconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


# What the parent makes of it.


def tables(found: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: the rate against the ceiling, the parts of a step, the kernels alone."""
    steps = found["step"]
    rates = {kind: kernel_rates(found[kind]) for kind in ("bfloat16", "float32")}
    best = max(rates["bfloat16"], key=lambda name: rates["bfloat16"][name]["forward"])
    ceiling = rates["bfloat16"][best]["forward"]
    seconds = statistics.median(run["seconds"] for run in steps)
    batch, count = steps[0]["batch"], steps[0]["flops"]
    achieved = count * batch / seconds / 1e9
    convolutions = statistics.median(
        sum(sum(line["seconds"].values()) for line in run["network"]) for run in found["bfloat16"]
    )
    share = achieved / ceiling
    verdict = "the aim is met" if share >= AIM else "the bar is met" if share >= BAR else "the bar is missed"
    lines = [
        "| one training step of `fast` | |",
        "|---|--:|",
        f"| time, batch {batch}, {steps[0]['precision']}, threads: {steps[0]['threads']} "
        f"| {1000 * seconds:.0f} ms, {batch / seconds:,.0f} images/s |",
        f"| arithmetic a training picture | {count / 1e9:.3f} GFLOP |",
        f"| achieved | {achieved:,.0f} GFLOP/s |",
        f"| ceiling: the fastest bfloat16 forward convolution ({best}) | {ceiling:,.0f} GFLOP/s |",
        f"| **achieved, of the ceiling** (bar {BAR:.0%}, aim {AIM:.0%}: {verdict}) | **{share:.0%}** |",
        f"| its convolutions alone, bfloat16 | {1000 * convolutions:.0f} ms, {convolutions / seconds:.0%} |",
        "",
        "| where the step goes | ms | share |",
        "|---|--:|--:|",
    ]
    middle = sorted(steps, key=lambda run: run["seconds"])[len(steps) // 2]  # one round, so that it adds up
    for name, part in middle["groups"].items():
        lines.append(f"| {name} | {1000 * part:.1f} | {part / middle['seconds']:.1%} |")
    lines += [
        f"| the measured step | {1000 * middle['seconds']:.1f} | 100.0% |",
        "",
        "| alone, GFLOP/s, batch of the recipe | bfloat16: forward | input | kernel "
        "| float32: forward | input | kernel |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in rates["bfloat16"]:
        cells = [
            f"{rate[name][part]:,.0f}" if part in rate[name] else "-"
            for rate in rates.values()
            for part in ("forward", "input", "kernel")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    products = [f"{statistics.median(run['product'] for run in found[kind]):,.0f}" for kind in rates]
    lines.append(f"| matrix product, 2048 x 2048 x 2048 | {products[0]} | - | - | {products[1]} | - | - |")
    others = ", ".join(f"{name} {1000 * own:.1f} ms" for name, own in middle["others"])
    lines += [
        "",
        f"Medians of {len(steps)} rounds; where the step goes is that of the middle one. Its groups are the",
        f"kernels' own times in an epoch of {STEPS} steps under torch's profiler. The time of a step is that",
        f"of epochs without it; the line {PROFILER!r} is the difference: the profiler's cost, and chance.",
        "`input` and `kernel` are the gradients of a convolution's input and kernel; a dash is what no step",
        "computes.",
        f"Most of {REST!r}: {others}.",
    ]
    return "\n".join(lines)


def kernel_rates(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Median GFLOP/s by convolution and part; convolutions of one name are medians of all."""
    collected: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for line in [*run["network"], run["square"]]:
            for part, rate in line["gflops"].items():
                collected.setdefault(line["name"], {}).setdefault(part, []).append(rate)
    return {
        name: {part: statistics.median(rates) for part, rates in parts.items()}
        for name, parts in collected.items()
    }


if __name__ == "__main__":
    sys.exit(main())
