"""What this machine is and does well: processor, cores, memory, and whether bfloat16 pays."""

import ctypes
import functools
import math
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """Processors this process may use: its affinity, and the container's quota where there is one."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        count = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or a quota of "max"
        pass
    return max(1, count)


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def keep_memory() -> None:
    """Tells glibc to keep freed memory for the next step instead of giving it back to the system.

    A training step frees and asks for the same hundreds of megabytes again; each fresh page costs a page
    fault. Where the allocator is another one, nothing happens.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


@functools.cache
def bfloat16_gain() -> float:
    """How many times faster a convolution, forward and backward, runs in bfloat16 than in float32.

    Measured once a process, in about half a second; about 2 on a processor with avx512_bf16, 4 to 6 with
    AMX, below 1 where bfloat16 is emulated.
    """
    import torch

    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.ones(32, 64, 16, 16, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
        kernel = torch.ones(128, 64, 3, 3, dtype=dtype).requires_grad_()
        times = []
        for _ in range(6):  # the first calls also prepare kernels; the quickest counts
            start = time.perf_counter()
            torch.nn.functional.conv2d(x, kernel, padding=1).sum().backward()
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def versions() -> dict[str, Any]:
    """Versions of what a result depends on, and the machine it was made on."""
    from importlib import metadata

    found = {"python": platform.python_version()}
    for package in ("tenfold", "keras", "torch", "tensorflow", "tensorflow-cpu", "jax", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "processor": processor(), "cores": cores(), "platform": platform.platform()}
