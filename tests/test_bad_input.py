"""Whatever data a user brings: one clear line, the right exit code, and nothing half-written left behind."""

import json
import os
import pickle
import struct
import tarfile
import zlib

import numpy as np
import pytest

from tenfold import cli, images

QUICK = ("--recipe", "tiny", "--epochs", "1", "--precision", "float32")


def picture(seed=0, size=16):
    return images.encode_png(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8))


def huge_header():
    """A PNG that says it has 30,000 x 30,000 pixels, and ends there."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def folder(path, **classes):
    """`folder(path, cat=3, val__cat=1)`: that many pictures in path/cat and path/val/cat."""
    for name, count in classes.items():
        place = path.joinpath(*name.split("__"))
        place.mkdir(parents=True)
        for number in range(count):
            (place / f"{number}.png").write_bytes(picture(number))
    return path


def arrays(path, labels):
    np.savez(path, x_train=np.zeros((len(labels), 16, 16, 3), np.uint8), y_train=labels)
    return path


class Malicious:
    def __reduce__(self):
        return os.system, ("touch EXECUTED",)


def malicious_archive(path):
    """An archive with the names of CIFAR-10's, whose pickle runs a program when it is loaded."""
    with tarfile.open(path, "w:gz") as archive:
        for name in ["batches.meta", "test_batch", *(f"data_batch_{i}" for i in range(1, 6))]:
            source = path.parent / name
            source.write_bytes(pickle.dumps(Malicious(), protocol=2))
            archive.add(source, f"cifar-10-batches-py/{name}")
            source.unlink()
    return path


def all_broken(path):
    folder(path, cat=12, dog=12)
    for file in path.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:40])
    return path


DATA = {
    "missing": (lambda here: here / "none", 3, "does not exist"),
    "empty folder": (lambda here: here, 3, "holds no class folders"),
    "one class": (lambda here: folder(here / "set", cat=5), 3, "one class only: cat"),
    "too few to hold out": (lambda here: folder(here / "set", cat=9, dog=1), 3, "dog"),
    "empty file": (lambda here: write(here / "set.npz", b""), 3, "set.npz"),
    "text as npz": (lambda here: write(here / "set.npz", b"hello"), 3, "is no data set"),
    "all pictures truncated": (lambda here: all_broken(here / "set"), 3, "can be read"),
    "classes of validation unknown": (
        lambda here: folder(here / "set", train__cat=4, train__dog=4, val__fox=2),
        3,
        "fox",
    ),
    "labels below 0": (lambda here: arrays(here / "set.npz", np.array([0, 1, -1] * 9)), 3, "Received: -1"),
    "labels as text": (lambda here: arrays(here / "set.npz", np.array(["a", "b"] * 9)), 3, "whole numbers"),
    "malicious pickle": (lambda here: malicious_archive(here / "cifar.tar.gz"), 3, "cifar.tar.gz"),
}


def write(path, content):
    path.write_bytes(content)
    return path


def complaint(capsys):
    """The one line on stderr."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tenfold: ")
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize(("make", "code", "said"), DATA.values(), ids=DATA)
def test_train_on_bad_data(make, code, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = make(tmp_path)
    assert cli.main(["train", str(data), *QUICK]) == code
    assert said in complaint(capsys)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "EXECUTED").exists()


def test_labels_beyond_the_named_classes(tmp_path, capsys):
    path = tmp_path / "set.npz"
    pixels = np.zeros((20, 16, 16, 3), np.uint8)
    np.savez(path, x_train=pixels, y_train=np.arange(20) % 4, class_names=np.array(["a", "b", "c"]))
    assert cli.main(["train", str(path), *QUICK, "--runs", str(tmp_path / "runs")]) == 3
    assert "Received: 3" in complaint(capsys)
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    data = folder(home / "set", cat=20, dog=20)
    assert cli.main(["train", str(data), *QUICK, "--runs", str(home), "--name", "run", "--quiet"]) == 0
    return home / "run"


PICTURES = {
    "truncated PNG": ("cut.png", lambda: picture()[:200], "is damaged"),
    "text renamed .jpg": ("text.jpg", lambda: b"no picture at all", "it is text"),
    "empty file": ("empty.png", bytes, "is empty"),
    "30,000 x 30,000 header": ("huge.png", huge_header, "too large"),
    "web page": ("page.png", lambda: b"<!DOCTYPE html><html>", "web page"),
}


@pytest.mark.parametrize(("name", "make", "said"), PICTURES.values(), ids=PICTURES)
def test_predict_names_a_bad_picture_and_goes_on(name, make, said, run, tmp_path, capsys):
    (tmp_path / "good.png").write_bytes(picture(5))
    (tmp_path / name).write_bytes(make())
    assert cli.main(["predict", str(run), str(tmp_path), "--format", "csv"]) == 3
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert str(tmp_path / name) in line
    assert said in line
    assert len(shown.out.splitlines()) == 2
    assert str(tmp_path / "good.png") in shown.out


@pytest.mark.parametrize(("name", "make", "said"), PICTURES.values(), ids=PICTURES)
def test_train_leaves_a_bad_picture_out_and_names_it(name, make, said, tmp_path, capsys):
    data = folder(tmp_path / "set", cat=15, dog=15)
    (data / "cat" / name).write_bytes(make())
    assert cli.main(["train", str(data), *QUICK, "--runs", str(tmp_path / "runs")]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "Skipped" in line]
    assert name in line
    assert said in line


@pytest.mark.parametrize("given", ["none.png", "*.gif", "empty"])
def test_predict_on_nothing(given, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert cli.main(["predict", str(run), given]) == 3
    assert given in complaint(capsys)


def test_a_class_missing_in_validation_is_said_and_keeps_its_place(tmp_path, capsys):
    data = folder(tmp_path / "set", train__ant=8, train__bee=8, train__cat=8, val__ant=3, val__cat=3)
    assert cli.main(["train", str(data), *QUICK, "--runs", str(tmp_path / "runs"), "--json"]) == 0
    shown = capsys.readouterr()
    assert [line for line in shown.err.splitlines() if "validation" in line and "bee" in line]
    confusion = json.loads(shown.out.splitlines()[-1])["validation"]["confusion"]
    assert [sum(row) for row in confusion] == [3, 0, 3]


def test_hidden_folders_are_no_classes(tmp_path, capsys):
    data = folder(tmp_path / "set", cat=15, dog=15)
    folder(data / ".ipynb_checkpoints", cat=3)
    (data / "cat" / ".DS_Store").write_bytes(b"x")
    assert cli.main(["train", str(data), *QUICK, "--dry-run"]) == 0
    assert "classes:         2: cat, dog" in capsys.readouterr().out


class TestNowhereToWrite:
    def test_a_file_where_the_folder_of_runs_should_be(self, tmp_path, capsys):
        data = folder(tmp_path / "set", cat=15, dog=15)
        (tmp_path / "runs").write_text("in the way")
        assert cli.main(["train", str(data), *QUICK, "--runs", str(tmp_path / "runs")]) == 6
        assert "Choose another place with --runs" in complaint(capsys)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
    def test_no_permission(self, tmp_path, capsys):
        data = folder(tmp_path / "set", cat=15, dog=15)
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        assert cli.main(["train", str(data), *QUICK, "--runs", str(locked / "runs")]) == 6
        assert "Permission denied" in complaint(capsys)
        assert not list(locked.iterdir())

    def test_a_folder_that_is_no_run_is_not_emptied(self, tmp_path, capsys):
        data = folder(tmp_path / "set", cat=15, dog=15)
        kept = tmp_path / "runs" / "mine" / "thesis.txt"
        kept.parent.mkdir(parents=True)
        kept.write_text("years of work")
        words = ["train", str(data), *QUICK, "--runs", str(tmp_path / "runs"), "--name", "mine", "--exist-ok"]
        assert cli.main(words) == 2
        assert "is no run" in complaint(capsys)
        assert kept.read_text() == "years of work"


def test_data_that_changed_since_training(tmp_path, capsys):
    data = folder(tmp_path / "set", cat=15, dog=15)
    assert cli.main(["train", str(data), *QUICK, "--runs", str(tmp_path), "--name", "run", "-q"]) == 0
    capsys.readouterr()
    (data / "cat" / "new.png").write_bytes(picture(99))
    assert cli.main(["evaluate", str(tmp_path / "run")]) == 3
    assert "train anew" in complaint(capsys)
