"""What this machine is and does well: processor, accelerator, cores, memory, and whether bfloat16 pays."""

import contextlib
import ctypes
import functools
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOADED = time.perf_counter()
# Seconds of the work that `slowness` times where it says 1: half of what it took on a Xeon on which the
# report took twice the seconds that `cli.train` states, those of an AMD EPYC.
_PYTHON = 0.0047
_OPERATIONS = 3 * 2 * 128 * 64 * 3 * 3 * 16 * 16  # of the convolution that is timed, for one picture


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


@dataclass(frozen=True)
class Accelerator:
    """The device, other than the processor, that Keras computes on.

    Attributes:
        kind: as the backend calls it: "cuda", "mps" or "xpu" under torch, "gpu" or "tpu" under JAX.
        name: its maker's name for it; its kind where the backend does not tell.
        memory: bytes that are free on it now; 0 where the backend does not tell.
        bfloat16: whether it is known to compute in bfloat16 natively.
    """

    kind: str
    name: str
    memory: int
    bfloat16: bool


def accelerator() -> Accelerator | None:
    """The accelerator that Keras puts its tensors on by itself; None on a processor.

    Under TensorFlow it is None on any machine: nothing here is made for TensorFlow on an accelerator.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.local_devices()[0]
        if device.platform == "cpu":
            return None
        told = device.memory_stats() or {}
        free = told.get("bytes_limit", 0) - told.get("bytes_in_use", 0)
        return Accelerator(device.platform, device.device_kind, free, device.platform in ("gpu", "tpu"))
    if keras.backend.backend() != "torch":
        return None
    import torch

    kind = keras.ops.zeros(()).device.type  # Keras' own choice, which KERAS_TORCH_DEVICE overrides
    if kind == "cuda":
        free, _ = torch.cuda.mem_get_info()
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Accelerator(kind, torch.cuda.get_device_name(), free, native)
    return None if kind == "cpu" else Accelerator(kind, kind, 0, False)


def process_start() -> float:
    """When this process was started, in terms of `time.perf_counter`; elsewhere than on Linux, about then."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        # starttime of proc(5): clock ticks since the system started
        born = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        began = time.perf_counter() - float(Path("/proc/uptime").read_text().split()[0]) + born
    except (OSError, ValueError, IndexError, AttributeError):
        return _LOADED
    # A sandbox may count the two from different moments; nobody takes a minute to import this module.
    return min(began, _LOADED) if _LOADED - began < 60 else _LOADED


def slowness() -> float:
    """How many times longer Python code takes now than on the processor that constants of seconds are from.

    The speed of this processor, timed on a piece of work of some 0.05 s, times how much longer this process
    has taken so far because others wanted the processors too. Where the system does not tell of others (other
    than Linux), as if there were none; waiting for a disk does not count.
    """
    times = []
    for _ in range(5):
        start = time.thread_time()
        counts: dict[str, int] = {}
        for number in range(20_000):
            word = str(number % 977)
            counts[word] = counts.get(word, 0) + len(word)
        times.append(time.thread_time() - start)
    slower = statistics.median(times) / _PYTHON
    try:
        ran, waited, _ = map(int, Path("/proc/self/schedstat").read_text().split())
    except (OSError, ValueError):
        return slower
    return slower * (1 + waited / max(ran, 1))


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory() -> int:
    """Bytes that this process may still take, by the machine, its container and its own limits.

    What is cached of files counts as free. Where the system tells nothing (Windows), `sys.maxsize`.
    """
    bounds = [sys.maxsize]
    try:
        told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        bounds.append(int(told["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):  # not Linux: all that is built in
        with contextlib.suppress(AttributeError, ValueError, OSError):
            bounds.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, KeyError, ValueError):  # no cgroup, or a limit of "max"
        used = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        taken = int((group / "memory.current").read_text()) - int(used["inactive_file"])
        bounds.append(int((group / "memory.max").read_text()) - taken)
    with contextlib.suppress(ImportError, OSError, KeyError, ValueError):
        import resource

        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        for limit, own in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
            most, _ = resource.getrlimit(limit)
            if most != resource.RLIM_INFINITY:
                bounds.append(most - int(status[own].split()[0]) * 1024)
    return max(0, min(bounds))


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


def return_memory() -> None:
    """Tells glibc to give freed blocks of a megabyte and more back to the system at once.

    The opposite of `keep_memory`, for a process that lives long and now and then decodes a large picture. By
    itself glibc raises that bound to the largest block it has seen freed, and then keeps what it gets back.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        mallopt(mmap_threshold, 2**20)
        mallopt(trim_threshold, 2**20)


@functools.cache
def convolution_speed(kind: str) -> float:
    """Floating-point operations a second of a convolution, forward and backward, in "float32" or "bfloat16".

    Of all threads together, and beside whatever else runs now. Measured once a process, in about a quarter of
    a second.
    """
    return _OPERATIONS * 32 / _quickest(kind, 32, time.perf_counter)


@functools.cache
def bfloat16_gain() -> float:
    """How many times faster a convolution runs in bfloat16 than in float32.

    About 2 on a processor with avx512_bf16, 2 to 6 with AMX, below 1 where bfloat16 is emulated. Measured
    once a process by the processor's time of one thread, which other processes leave as it is: they make
    several threads wait for each other, in either kind for as long.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _quickest("float32", 16, time.thread_time) / _quickest("bfloat16", 16, time.thread_time)
    finally:
        torch.set_num_threads(threads)


def _quickest(kind: str, pictures: int, clock: Callable[[], float]) -> float:
    """Seconds of a convolution, forward and backward, of some pictures; the first calls prepare kernels."""
    import torch

    dtype = getattr(torch, kind)
    x = torch.ones(pictures, 64, 16, 16, dtype=dtype)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    kernel = torch.ones(128, 64, 3, 3, dtype=dtype).requires_grad_()
    times = []
    for _ in range(6):
        start = clock()
        torch.nn.functional.conv2d(x, kernel, padding=1).sum().backward()
        times.append(clock() - start)
    return min(times)


def commit() -> str | None:
    """The git commit of the sources that run here, with "+" at its end where they were changed since.

    None where they are not part of a git checkout, as after an installation from a package, or where git does
    not answer within five seconds.
    """
    # Within a hook of git, these variables name the repository that is committed to.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=Path(__file__).parent,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        ).stdout.strip()

    try:
        # A virtual environment may lie inside the checkout of another project, whose files these are not.
        if not git("ls-files", Path(__file__).name):
            return None
        return git("rev-parse", "HEAD") + ("+" if git("diff", "--name-only", "HEAD", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, Any]:
    """Versions of what a result depends on, the commit of the sources, and the machine it was made on."""
    from importlib import metadata

    found = {"python": platform.python_version()}
    for package in ("tenfold", "keras", "torch", "tensorflow", "tensorflow-cpu", "jax", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if source := commit():
        found["commit"] = source
    return {**found, "processor": processor(), "cores": cores(), "platform": platform.platform()}
