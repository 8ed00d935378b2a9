"""A study that was killed half-way and gone on with, shared by the tests of tuning."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tenfold import tuning
from tenfold.images import encode_png
from tenfold.recipes import recipe
from tenfold.tuning.study import Study, write_settings

TRIALS = 4

# Every Python that starts with this on its path writes down the pictures it opens.
WATCH = """
import os, sys
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".png"):
        with open(os.environ["WATCH_LOG"], "a") as log:
            log.write(str(arguments[0]) + "\\n")
sys.addaudithook(hook)
"""


@dataclass(frozen=True)
class Story:
    """What became of a study whose process was killed, and which another process went on with.

    Attributes:
        killed: the study when it had been killed.
        study: when it had finished.
        orphans: processes of the first session that outlived it.
        opened: names of all pictures that any process opened.
    """

    killed: Study
    study: Study
    orphans: list[int]
    opened: set[str]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of two classes, dark and bright, with a test split."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for place, count in (("train/dark", 40), ("train/bright", 40), ("test/dark", 4), ("test/bright", 4)):
        (folder / place).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 160, (16, 16, 3), np.uint8) + np.uint8(60 * ("bright" in place))
            (folder / place / f"{number}.png").write_bytes(encode_png(pixels))
    return folder


@pytest.fixture(scope="session")
def settings(pictures):
    """A study of four short trials, one after the other."""
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    config = dataclasses.replace(
        recipe("tiny"), data=str(pictures), epochs=5, batch_size=8, val_split=0.25, precision="float32"
    )
    return tuning.plan(config, search=["learning_rate", "units", "schedule"], trials=TRIALS, workers=1)


@pytest.fixture(scope="session")
def story(settings, tmp_path_factory):
    """The study killed with SIGKILL in its third trial, then resumed."""
    folder = tmp_path_factory.mktemp("story")
    path, log = folder / "tune-tiny", folder / "opened.txt"
    path.mkdir()
    write_settings(path, settings)  # as `tune` leaves it, so that `resume` finds a study without trials
    (folder / "sitecustomize.py").write_text(WATCH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATCH_LOG", str(log))
        patch.setenv("PYTHONPATH", str(folder))
        command = [sys.executable, "-m", "tenfold", "resume", str(path), "--quiet"]
        with subprocess.Popen(command) as process:
            wait_for_the_third(path, process)
            process.send_signal(signal.SIGKILL)
        orphans = outliving(f"WATCH_LOG={log}")
        killed = tuning.open_study(path)
        study = tuning.resume(path)
    return Story(killed, study, orphans, set(log.read_text().splitlines()))


def wait_for_the_third(path, process, seconds=90):
    """Until two trials have finished and the third is on its way."""
    end, table = time.monotonic() + seconds, path / "trials.csv"
    while time.monotonic() < end:
        assert process.poll() is None, "the study ended by itself"
        if table.exists() and table.read_text().count(",finished,") >= 2:
            time.sleep(0.3)
            return
        time.sleep(0.05)
    pytest.fail("two trials took too long")


def outliving(mark, seconds=15):
    """Processes of that environment that are still there after a while."""
    end = time.monotonic() + seconds
    while (left := list(_carrying(mark.encode()))) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def _carrying(mark):
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes() and int(entry.parent.name) != os.getpid():
                yield int(entry.parent.name)
        except OSError:  # ended, or not ours
            continue
