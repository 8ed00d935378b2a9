"""Folders, patterns and names become files, each once, in order; what leads nowhere is named."""

import os
from pathlib import Path

import pytest

from tenfold import paths
from tenfold.paths import Failure


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "in/c.webp", ".git/d.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return Path("set")


def names(*given):
    return [item.path if isinstance(item, Failure) else item for item in paths.find(given)]


def test_folders_are_sorted_and_hidden_names_left_out(folder):
    assert names(folder) == [folder / "a.JPG", folder / "b.png", folder / "in" / "c.webp"]


def test_patterns_are_expanded(folder):
    assert names("set/*.png") == [folder / "b.png"]
    assert names("set/**/*.webp") == [folder / "in" / "c.webp"]


def test_a_file_counts_once_however_it_is_reached(folder):
    given = (folder / "b.png", folder, "set/*.png", folder.resolve() / "b.png")
    assert [path.name for path in names(*given)] == ["b.png", "a.JPG", "c.webp"]


def test_a_file_that_is_named_is_taken_whatever_its_suffix(folder):
    assert names(folder / "notes.txt") == [folder / "notes.txt"]


def test_a_file_named_like_a_pattern_is_taken_as_it_is(folder):
    odd = folder / "x[1].png"
    odd.write_bytes(b"x")
    assert names(odd) == [odd]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("nothing.png", "does not exist"),
        ("set/*.gif", "matches no file"),
        ("empty", "holds no pictures"),
    ],
)
def test_what_leads_nowhere_is_a_failure(folder, given, reason):
    os.mkdir("empty")
    (item,) = paths.find([given])
    assert isinstance(item, Failure)
    assert given in item.reason
    assert reason in item.reason


def test_photographs_that_nobody_decodes_are_named_and_not_passed_over(folder):
    for name in ("phone.HEIC", "in/raw.NEF"):
        (folder / name).write_bytes(b"x")
    assert names(folder)[2:] == [folder / "phone.HEIC", folder / "in" / "c.webp", folder / "in" / "raw.NEF"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_without_permission_is_named(folder):
    (folder / "in").chmod(0)
    *_, refused = paths.find([folder])
    (folder / "in").chmod(0o700)
    assert isinstance(refused, Failure)
    assert "in cannot be listed" in refused.reason
