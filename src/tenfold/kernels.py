"""A pool, a batch norm and an activation in one go: what torch does in more passes over memory than it takes.

Between the convolutions of a small network a step of training reads and writes its maps again and again, by
three kernels forward and three backward. `norm_gelu` is one function for all of them, in C++ (kernels.cpp),
which the machine's own compiler makes fit for its processor, once, in a second or two.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

_SOURCE = Path(__file__).with_name("kernels.cpp")
_COMPILERS = "c++", "g++", "clang++"
_FLAGS = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC"]
_WIDE = "-mprefer-vector-width=512"  # for processors of Intel's kind; others' compilers do not know it
_KINDS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@functools.cache
def library(folder: Path) -> ctypes.CDLL | None:
    """The compiled kernels, made at the first call on this machine and kept in `folder`.

    None where there is no C++ compiler that takes what they are written in, where `folder` cannot be written,
    or where the environment says TENFOLD_KERNELS=off.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None or os.environ.get("TENFOLD_KERNELS") == "off":
        return None
    flags = [*_FLAGS, *([_WIDE] if platform.machine() in ("x86_64", "AMD64") else [])]
    source = _SOURCE.read_bytes()
    made_of = repr((source, flags, compiler, _processor())).encode()
    path = folder / f"{hashlib.sha256(made_of).hexdigest()[:16]}.so"
    try:
        if not path.exists():
            _compile(compiler, flags, path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None


def _compile(compiler: str, flags: list[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        parts, made = f"{folder}/kernels.o", f"{folder}/kernels.so"
        # Linked apart, without a library of OpenMP, so that torch's own threads do the work.
        for words in ([*flags, "-c", str(_SOURCE), "-o", parts], ["-shared", parts, "-o", made]):
            subprocess.run([compiler, *words], check=True, capture_output=True, timeout=60)
        os.replace(made, path)


def _processor() -> str:
    """What tells processors apart that understand different instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def norm_gelu(
    maps: torch.Tensor,
    beta: torch.Tensor,
    before: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    *,
    pool: tuple[int, int] | None,
    training: bool,
    momentum: float,
    epsilon: float,
    folder: Path,
) -> torch.Tensor:
    """A max pool, batch norm without gamma, a sum, and GELU.

    On a processor by the compiled kernels, where they are there; else, and for gradients outside of training,
    by torch's own.

    Args:
        maps: (n, channels, height, width), float32 or bfloat16.
        beta: (channels,).
        before: added before the GELU, of the result's shape.
        mean: float32 (channels,), moved towards the batch's in training; so is `variance`, by the batch's
            unbiased one.
        pool: height and width of the windows, 2 or 3 each, strides of 2; None pools nothing.
        momentum: how far `mean` and `variance` move, 0 to 1.
        folder: as for `library`.
    """
    learns = torch.is_grad_enabled() and any(
        each is not None and each.requires_grad for each in (maps, beta, before)
    )
    fits = maps.device.type == "cpu" and maps.dtype in _KINDS and (training or not learns)
    kernels = library(folder) if fits else None
    if kernels is not None:
        given = maps, beta.float(), before
        if training:
            return _NormGelu.apply(*given, mean, variance, pool, momentum, epsilon, kernels)
        pooled = _summed(kernels, maps, pool)[0] if pool else maps
        return _normed(kernels, pooled, *given[1:], mean, variance, epsilon)[0]
    if pool:
        maps = torch.nn.functional.max_pool2d(maps, pool, 2)
    normed = torch.nn.functional.batch_norm(
        maps, mean, variance, None, beta, training=training, momentum=momentum, eps=epsilon
    )
    return torch.nn.functional.gelu(normed if before is None else normed + before)


class _NormGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        maps, beta, before, mean, variance, pool, momentum, epsilon, kernels = given
        shape = *maps.shape[2:], *(pool or ())
        maps, places, sums = _summed(kernels, maps, pool)
        count = maps.numel() // maps.shape[1]
        first, second = sums.sum(0, dtype=torch.float64) / count
        spread = (second - first.square()).clamp_(min=0)
        mean.lerp_(first.to(mean.dtype), momentum)
        variance.lerp_((spread * (count / max(1, count - 1))).to(variance.dtype), momentum)
        activated, before, norm = _normed(kernels, maps, beta, before, first, spread, epsilon)
        ctx.save_for_backward(maps, places, before, *norm)
        ctx.shape, ctx.kernels = shape, kernels
        return activated

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        maps, places, before, *norm = ctx.saved_tensors
        n, channels, high, wide = maps.shape
        after, gradient = _last(gradients[0].to(maps.dtype)), _maps(maps.shape, maps)
        sums = torch.empty(n, 2, channels)
        given = maps, before, after, gradient, sums, *norm
        _call(ctx.kernels, "back", *given, n, high * wide, channels)
        total = sums.sum(0, dtype=torch.float64)
        means = (total / (n * high * wide)).float()
        out = _maps((n, channels, *ctx.shape[:2]), maps)
        scale, centre, _ = norm
        if places is None:
            _call(ctx.kernels, "spread", maps, gradient, out, scale, centre, means, n * high * wide, channels)
        else:
            given = maps, gradient, places, out, scale, centre, means
            _call(ctx.kernels, "unpool", *given, n, channels, *ctx.shape)
        return out, total[0].float(), None if before is None else gradient, *[None] * 6


def _summed(
    kernels: ctypes.CDLL, maps: torch.Tensor, pool: tuple[int, int] | None
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Pooled maps, the places in their windows that they are from, and the sums of values and squares."""
    maps = _last(maps)
    n, channels, height, width = maps.shape
    sums = torch.empty(n, 2, channels)
    if pool is None:
        _call(kernels, "moments", maps, sums, n, height * width, channels)
        return maps, None, sums
    high, wide = ((side - window) // 2 + 1 for side, window in zip(maps.shape[2:], pool, strict=True))
    pooled = _maps((n, channels, high, wide), maps)
    places = torch.empty(pooled.shape, dtype=torch.uint8)
    _call(kernels, "pool", maps, pooled, places, sums, n, channels, height, width, *pool)
    return pooled, places, sums


def _normed(
    kernels: ctypes.CDLL,
    maps: torch.Tensor,
    beta: torch.Tensor,
    before: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    epsilon: float,
) -> tuple[torch.Tensor, torch.Tensor | None, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """The activated maps, `before` as it lies in memory, and scale, centre and beta of the norm."""
    maps, before = _last(maps), None if before is None else _last(before)
    scale = (variance + epsilon).rsqrt()
    norm = scale.float(), (-mean * scale).float(), beta.detach()
    activated, channels = _maps(maps.shape, maps), maps.shape[1]
    _call(kernels, "activate", maps, before, activated, *norm, maps.numel() // channels, channels)
    return activated, before, norm


def _last(maps: torch.Tensor) -> torch.Tensor:
    """The same, with the channels last in memory."""
    return maps.contiguous(memory_format=torch.channels_last)


def _maps(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


def _call(kernels: ctypes.CDLL, name: str, maps: torch.Tensor, *given: torch.Tensor | int | None) -> None:
    """Calls a kernel, in the form for what the maps hold."""
    function = getattr(kernels, f"{name}_{_KINDS[maps.dtype]}")
    rest = [ctypes.c_long(each) if isinstance(each, int) else _address(each) for each in given]
    function(_address(maps), *rest)


def _address(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())
