"""The compiled kernels against torch's own, and what happens where they are not to be had."""

import functools
import shutil
import sys
from pathlib import Path

import pytest
import torch

from tenfold import kernels

compiled = pytest.mark.skipif(
    sys.platform != "linux" or not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="needs Linux and a C++ compiler",
)
CHANNELS = 20  # no multiple of what a vector holds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


def maps(*shape, kind=torch.float32, seed=0):
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=random) * 1.5 + 0.3
    return values.to(kind).contiguous(memory_format=torch.channels_last).requires_grad_()


def stock(x, beta, before, mean, variance, *, pool):
    """The same in torch's own functions."""
    functional = torch.nn.functional
    x = functional.max_pool2d(x, pool, 2) if pool else x
    x = functional.batch_norm(x, mean, variance, None, beta, training=True, momentum=0.4, eps=1e-5)
    return functional.gelu(x if before is None else x + before)


@pytest.fixture
def ours(folder):
    options = {"training": True, "momentum": 0.4, "epsilon": 1e-5, "folder": folder}
    return functools.partial(kernels.norm_gelu, **options)


def results(function, kind, shape, pool, summed):
    """What a function gives, how it moves the statistics, and its gradients for some gradient of its own."""
    x = maps(*shape, kind=kind)
    beta = torch.linspace(-1, 1, shape[1]).requires_grad_()
    mean, variance = torch.full((shape[1],), 0.5), torch.full((shape[1],), 2.0)
    sides = shape[2:]
    if pool:
        sides = [(side - window) // 2 + 1 for side, window in zip(sides, pool, strict=True)]
    before = maps(*shape[:2], *sides, kind=kind, seed=1) if summed else None
    outputs = function(x, beta, before, mean, variance, pool=pool)
    outputs.backward(maps(*outputs.shape, seed=2).to(kind).contiguous())  # channels first in memory
    gradients = [x.grad, beta.grad, *([before.grad] if summed else [])]
    return [part.detach().float() for part in (outputs, mean, variance, *gradients)]


@compiled
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("sides", "pool", "summed"),
    [
        ((9, 12), (2, 2), False),
        ((9, 11), (3, 3), False),
        ((8, 9), (2, 3), False),
        ((9, 8), (3, 2), True),
        ((5, 4), None, False),
        ((5, 4), None, True),
    ],
)
def test_in_training_it_is_what_torch_gives(ours, kind, sides, pool, summed):
    shape = 6, CHANNELS, *sides
    found = results(ours, kind, shape, pool, summed)
    # In bfloat16 torch rounds between its kernels; in float32 the two are the same but for the order of sums.
    exact = results(stock, kind, shape, pool, summed)
    for mine, other in zip(found, exact, strict=True):
        assert mine.shape == other.shape
        assert (mine - other).norm() <= (1e-5 if kind == torch.float32 else 6e-3) * other.norm()


@compiled
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pool", [None, (3, 2)])
def test_outside_of_training_it_goes_by_the_statistics_it_is_given(ours, monkeypatch, kind, pool):
    x, beta = maps(6, CHANNELS, 9, 8, kind=kind), torch.linspace(-1, 1, CHANNELS)
    statistics = torch.linspace(0, 1, CHANNELS), torch.linspace(0.5, 2, CHANNELS)
    kept = [each.clone() for each in statistics]
    with torch.no_grad():
        found = ours(x, beta, None, *statistics, pool=pool, training=False)
    assert all(map(torch.equal, statistics, kept))
    # With a gradient to come it is torch's own.
    monkeypatch.setattr(kernels, "library", lambda folder: pytest.fail("asked for the kernels"))
    exact = ours(x, beta, None, *statistics, pool=pool, training=False)
    assert exact.requires_grad
    torch.testing.assert_close(found, exact, atol=3e-6 if kind == torch.float32 else 2e-2, rtol=1e-2)


@compiled
@pytest.mark.parametrize("shift", [-25.0, -5.0, 0.0, 5.0])
def test_gelu_is_right_far_from_zero_too(ours, shift):
    x, beta = torch.linspace(-6, 6, 2401).reshape(1, 1, 1, -1), torch.full((1,), shift)
    found = ours(x, beta, None, torch.zeros(1), torch.ones(1), pool=None)
    exact = stock(x, beta, None, torch.zeros(1), torch.ones(1), pool=None)
    torch.testing.assert_close(found, exact, atol=3e-6, rtol=1e-5)


@compiled
def test_what_is_no_number_stays_so(ours):
    x = torch.full((2, 3, 4, 4), float("nan"))
    assert ours(x, torch.zeros(3), None, torch.zeros(3), torch.ones(3), pool=(2, 2)).isnan().all()


@compiled
def test_any_number_of_threads_gives_the_same_bits(ours):
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(results(ours, torch.bfloat16, (7, CHANNELS, 9, 9), (2, 2), False))
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


@compiled
def test_it_is_compiled_once(folder, monkeypatch):
    assert kernels.library(folder)
    files = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    kernels.library.cache_clear()
    monkeypatch.setattr(kernels, "_compile", lambda *_: pytest.fail("compiled again"))
    assert kernels.library(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == files
    assert len(files) == 1


@pytest.fixture
def afresh():
    kernels.library.cache_clear()
    yield
    kernels.library.cache_clear()


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize("case", ["off", "no compiler", "a failing one", "no folder"])
def test_without_them_torch_does_it(ours, case, tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    if case == "off":
        monkeypatch.setenv("TENFOLD_KERNELS", "off")
    elif case == "no compiler":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    elif case == "a failing one":
        monkeypatch.setattr(shutil, "which", lambda name: str(Path("/bin/false").resolve()))
    else:
        folder.write_text("a file")
    assert kernels.library(folder) is None
    assert not folder.is_dir() or not list(folder.iterdir())
    x, beta = maps(4, 3, 5, 5), torch.ones(3)
    found = ours(x, beta, None, torch.zeros(3), torch.ones(3), pool=None, folder=folder)
    assert torch.equal(found, stock(x, beta, None, torch.zeros(3), torch.ones(3), pool=None))
