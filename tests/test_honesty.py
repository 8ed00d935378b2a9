"""Nothing but `evaluate --split test` opens the test pictures: every opened file is watched."""

import os
import subprocess
import sys

import pytest

WATCH = """
import sys
from pathlib import Path
opened = set()
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        name = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode()
        opened.add(name)
sys.addaudithook(hook)
from tenfold.cli import main
for words in {calls!r}:
    code = main(words)
    print("exit", code, words[0])
print("TEST FILES", sorted(name for name in opened if {mark!r} in name and name.endswith({suffix!r})))
"""

QUICK = ["--model", "tiny", "--epochs", "1", "--batch-size", "8", "--precision", "float32"]


def watched(calls, mark, suffix, folder):
    """Runs command lines in one process and returns the names of opened files under the test split."""
    code = WATCH.format(calls=calls, mark=mark, suffix=suffix)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, "TENFOLD_CACHE": str(folder / "cache")},
    )
    lines = done.stdout.splitlines()
    exits = [line for line in lines if line.startswith("exit")]
    assert len(exits) == len(calls), done.stderr
    assert all(line.split()[1] == "0" for line in exits), done.stdout + done.stderr
    return next(line for line in lines if line.startswith("TEST FILES"))


@pytest.fixture
def folder(picture_folder):
    return picture_folder(
        {
            f"{split}/{name}": count
            for split, count in (("train", 20), ("test", 5))
            for name in ("cat", "dog")
        },
        size=(16, 16),
    )


def test_only_evaluate_on_the_test_split_opens_test_files(folder, tmp_path):
    data = str(folder)
    picture = str(folder / "train/cat/1.png")
    everything_else = [
        ["train", data, *QUICK, "--name", "a"],
        ["train", data, *QUICK, "--name", "all", "--val-split", "0"],
        ["train", data, *QUICK, "--dry-run"],
        ["evaluate", "runs/a"],
        ["evaluate", "runs/a", "--split", "train"],
        ["predict", "runs/a", picture],
        ["report", "runs/a"],
        ["recipes"],
        ["checks"],
    ]
    assert watched(everything_else, "/test/", ".png", tmp_path) == "TEST FILES []"
    assert not (tmp_path / "runs/a/ledger.jsonl").exists()
    found = watched([["evaluate", "runs/a", "--split", "test"]], "/test/", ".png", tmp_path)
    assert found.count(".png") == 10  # the watch sees what it should
    assert len((tmp_path / "runs/a/ledger.jsonl").read_text().splitlines()) == 1
    after = watched([["report", "runs/a"], ["evaluate", "runs/a"]], "/test/", ".png", tmp_path)
    assert after == "TEST FILES []"


def test_training_on_cifar_never_opens_the_test_file(cifar_data, tmp_path):
    (tmp_path / "shards").mkdir()
    for shard in (min(cifar_data.glob("train-*")), min(cifar_data.glob("test-*"))):
        (tmp_path / "shards" / shard.name).symlink_to(shard)
    calls = [["train", "shards", *QUICK, "--batch-size", "256", "--val-split", "0.9"]]
    assert watched(calls, "test-", ".parquet", tmp_path) == "TEST FILES []"
