"""Decoded pictures: kept once, used again only while their files are the same."""

import os

import numpy as np
import pytest

from tenfold.datasets import Dataset, cache


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "WORTH", 3)
    path = tmp_path / "train.parquet"
    path.write_bytes(b"pictures")
    return path


def reader(count, shade=7):
    """Counts its calls in `reads`."""

    def read():
        read.calls += 1
        images = np.full((count, 4, 4, 3), shade, np.uint8)
        ids = tuple(f"row-{number}" for number in range(count))
        return Dataset(images, np.arange(count) % 2, ("cat", "dög"), ids, ("One was skipped.",))

    read.calls = 0
    return read


def test_pictures_are_decoded_once(file):
    read = reader(5)
    first, second = (cache.decoded([file], ("pad", 4), read) for _ in range(2))
    assert read.calls == 1
    assert (first.images == second.images).all()
    assert (first.labels == second.labels).all()
    assert (second.class_names, second.ids, second.notes) == (first.class_names, first.ids, first.notes)


@pytest.mark.parametrize("change", ["file", "facts"])
def test_what_changed_is_decoded_anew_and_takes_the_old_place(file, change):
    cache.decoded([file], ("pad", 4), reader(5))
    if change == "file":
        os.utime(file, ns=(1, 1))
    facts = ("crop", 4) if change == "facts" else ("pad", 4)
    found = cache.decoded([file], facts, reader(5, shade=9))
    assert (found.images == 9).all()
    assert len(list(cache.home().rglob("*.npz"))) == 1


def test_few_pictures_are_not_kept(file):
    read = reader(2)
    for _ in range(2):
        cache.decoded([file], (), read)
    assert read.calls == 2
    assert not list(cache.home().rglob("*.npz"))


def test_a_broken_entry_is_replaced(file):
    cache.decoded([file], (), reader(5))
    (entry,) = cache.home().rglob("*.npz")
    entry.write_bytes(entry.read_bytes()[:100])
    assert (cache.decoded([file], (), reader(5, shade=9)).images == 9).all()
    assert (cache.decoded([file], (), reader(5)).images == 9).all()


def test_a_cache_that_cannot_be_written_costs_time_only(file):
    cache.home().parent.mkdir(parents=True)
    cache.home().write_text("a file where the folder should be")
    read = reader(5)
    for _ in range(2):
        assert len(cache.decoded([file], (), read)) == 5
    assert read.calls == 2
