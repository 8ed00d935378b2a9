"""What the machine is: answers that must hold on any machine."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

from tenfold import machine


def test_there_is_at_least_one_core_and_no_more_than_the_system_has():
    assert 1 <= machine.cores() <= os.cpu_count()


def test_the_process_began_before_its_tests():
    assert 0 < time.perf_counter() - machine.process_start() < 86_400


def test_slowness_tells_a_processor_of_half_the_speed_from_a_whole_one(monkeypatch):
    whole = machine.slowness()
    clock = time.thread_time
    monkeypatch.setattr(machine.time, "thread_time", lambda: 2 * clock())
    assert machine.slowness() == pytest.approx(2 * whole, rel=0.4)


def test_the_age_of_a_process_is_that_of_the_whole_command():
    code = "import time, tenfold.machine as m; print(time.perf_counter() - m.process_start())"
    began = time.perf_counter()
    age = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 0 < age <= time.perf_counter() - began + 0.05


def test_keras_on_a_processor_has_no_accelerator():
    code = "import tenfold; from tenfold import machine; print(machine.accelerator())"
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "None"


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="of torch")
def test_an_accelerator_of_torch_tells_its_name_its_room_and_its_arithmetic(monkeypatch):
    import torch

    there = SimpleNamespace(device=SimpleNamespace(type="cuda"))
    monkeypatch.setattr(keras.ops, "zeros", lambda shape: there)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (70, 100))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    for native in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, n=native: n)
        assert machine.accelerator() == machine.Accelerator("cuda", "a card", 70, native)
    there.device.type = "mps"  # no room that is known: pictures stay with the processor
    assert machine.accelerator() == machine.Accelerator("mps", "mps", 0, False)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_an_accelerator_of_jax_tells_its_name_and_its_room(monkeypatch):
    import jax

    card = SimpleNamespace(platform="gpu", device_kind="a card", memory_stats=lambda: None)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(jax, "local_devices", lambda: [card])
    assert machine.accelerator() == machine.Accelerator("gpu", "a card", 0, True)
    card.memory_stats = lambda: {"bytes_limit": 100, "bytes_in_use": 30}
    assert machine.accelerator().memory == 70
    card.platform = "cpu"
    assert machine.accelerator() is None


LIMITED = """
import resource
import numpy as np
from tenfold import machine
for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
    before = machine.free_memory()
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (2**30, hard))
    print(machine.free_memory() < min(before, 2**30))
    taken = np.ones(2**28, np.uint8)
    print(machine.free_memory() < 2**30 - 2**28)
    del taken
    resource.setrlimit(kind, (hard, hard))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_free_memory_knows_the_limits_of_the_process():
    assert 2**20 < machine.free_memory() < 2**50
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 4


def test_versions_name_what_a_result_depends_on():
    found = machine.versions()
    assert {"python", "tenfold", "keras", "torch", "numpy", "processor", "cores", "platform"} <= set(found)
    assert found["processor"]


class TestCommit:
    """Copies of the sources in repositories of their own, asked by a Python of their own."""

    @pytest.fixture
    def sources(self, tmp_path):
        """The two modules it takes, in a repository whose first commit holds them."""
        package = tmp_path / "src" / "tenfold"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        shutil.copy(machine.__file__, package)
        self.git(tmp_path, "init", "-q")
        self.git(tmp_path, "add", "src")
        self.git(tmp_path, *["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "first"])
        return package

    def git(self, folder, *words):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(["git", *words], cwd=folder, env=clean, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def asked(self, package, **environment):
        done = subprocess.run(
            [sys.executable, "-c", "from tenfold import machine; print(machine.versions().get('commit'))"],
            env={**os.environ, "PYTHONPATH": str(package.parent), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def test_it_is_that_of_the_sources(self, sources):
        assert self.asked(sources) == self.git(sources, "rev-parse", "HEAD")

    def test_a_plus_marks_changed_sources_and_nothing_else(self, sources):
        head = self.git(sources, "rev-parse", "HEAD")
        (sources / "new.py").touch()
        (sources.parents[1] / "notes.txt").touch()
        assert self.asked(sources) == head
        with open(sources / "__init__.py", "a") as file:
            file.write("# changed\n")
        assert self.asked(sources) == f"{head}+"

    def test_a_hook_of_another_repository_does_not_mislead_it(self, sources, tmp_path_factory):
        other = tmp_path_factory.mktemp("other")
        self.git(other, "init", "-q")
        head = self.git(sources, "rev-parse", "HEAD")
        assert self.asked(sources, GIT_DIR=str(other / ".git")) == head

    def test_sources_inside_the_checkout_of_another_project_have_none(self, sources):
        installed = sources.parents[1] / ".venv" / "tenfold"
        shutil.copytree(sources, installed)
        assert self.asked(installed) == "None"

    def test_without_git_or_a_checkout_there_is_none(self, sources):
        assert self.asked(sources, PATH="") == "None"
        shutil.rmtree(sources.parents[1] / ".git")
        assert self.asked(sources, PATH=str(Path(shutil.which("git")).parent)) == "None"


def test_peak_memory_grows_with_what_is_held():
    before = machine.peak_memory()
    block = bytearray(os.urandom(1) * 300_000_000)
    after = machine.peak_memory()
    assert after == 0 or after - before > 50_000_000 or before > len(block)


def test_keeping_memory_changes_no_result():
    import torch

    machine.keep_memory()
    assert float(torch.ones(3_000_000).sum()) == 3_000_000


def test_memory_that_was_freed_goes_back_to_the_system():
    code = """
import os
from pathlib import Path
from tenfold import machine
machine.return_memory()
resident = lambda: 4096 * int(Path("/proc/self/statm").read_text().split()[1])
before = resident()
for size in (20, 30, 5, 31, 2):
    block = [bytes(2**20 * size) for _ in range(3)]
    del block
assert resident() - before < 2**22
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell the resident size")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_speed_of_convolutions_is_measured_once():
    speed = machine.convolution_speed("float32")
    assert 1e8 < speed < 1e14
    assert machine.convolution_speed("float32") is speed


def test_what_bfloat16_gains_does_not_hang_on_what_else_runs():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    measure = machine.bfloat16_gain.__wrapped__
    alone = measure()
    busy = "import torch; x = torch.ones(700, 700)\nprint('on', flush=True)\nwhile True: x @ x"
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            other = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(other.kill)
            assert other.stdout.readline() == "on\n"
        beside = measure()
    assert alone / 2 < beside < 2 * alone
    assert torch.get_num_threads() == threads
