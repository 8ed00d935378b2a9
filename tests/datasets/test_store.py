"""Decoded pictures: made once, found again, whole after any kill, on the disk where memory is too small."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tenfold import cache, machine
from tenfold.datasets import store
from tenfold.datasets.rows import Rows
from tenfold.datasets.store import Origin, Piece, collect, piece_size
from tenfold.errors import ResourceError

COUNT, SIDE = 150, 8  # three pieces
ALL = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
EXPECTED = ALL.copy()
EXPECTED[70] = 0


class Decoder:
    """Makes pieces of ALL, of which 70 cannot be read; counts them, and fails before one if told to."""

    def __init__(self, fail_at=None, shade=0):
        self.made = []
        self.fail_at = fail_at
        self.shade = shade

    def __call__(self, finished):
        for start in range(0, COUNT, piece_size(SIDE)):
            if start in finished:
                continue
            if start == self.fail_at:
                raise KeyboardInterrupt
            self.made.append(start)
            pixels = EXPECTED[start : start + piece_size(SIDE)] ^ self.shade
            problems = {70: "70.png is damaged."} if 70 in range(start, start + len(pixels)) else {}
            yield Piece(start, pixels, problems)


@pytest.fixture
def origin(tmp_path, monkeypatch):
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "WORTH", COUNT)
    (tmp_path / "train.parquet").write_bytes(b"pictures")
    return Origin("set train", [tmp_path / "train.parquet"])


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: ALL.nbytes)


def kept():
    """Names of the files in the cache, without those of folders."""
    return sorted(path.name for path in cache.home().rglob("*") if path.is_file())


def test_pictures_are_decoded_once(origin):
    first, second = Decoder(), Decoder()
    for decoder in (first, second):
        images, problems = collect(COUNT, SIDE, decoder, origin, "pad")
        assert type(images) is np.ndarray
        assert np.array_equal(images, EXPECTED)
        assert problems == {70: "70.png is damaged."}
    assert (len(first.made), second.made) == (3, [])
    assert kept() == ["pixels", "whole.json"]


@pytest.mark.parametrize("change", ["file", "fit", "rows"])
def test_what_changed_is_decoded_anew(origin, change):
    collect(COUNT, SIDE, Decoder(), origin, "pad")
    other = origin
    if change == "file":
        os.utime(origin.files[0], ns=(1, 1))
    if change == "rows":
        other = Origin(origin.place, origin.files, np.arange(3))
    images, _ = collect(COUNT, SIDE, Decoder(shade=1), other, "crop" if change == "fit" else "pad")
    assert np.array_equal(images, EXPECTED ^ 1)
    # What other files held is of no use any more; another way to decode the same ones is.
    assert kept().count("pixels") == (1 if change == "file" else 2)


def test_an_interrupted_start_is_gone_on_with(origin):
    with pytest.raises(KeyboardInterrupt):
        collect(COUNT, SIDE, Decoder(fail_at=128), origin)
    second = Decoder()
    images, problems = collect(COUNT, SIDE, second, origin)
    assert second.made == [128]
    assert np.array_equal(images, EXPECTED)
    assert list(problems) == [70]


def test_pieces_that_are_not_whole_are_decoded_again(origin):
    with pytest.raises(KeyboardInterrupt):
        collect(COUNT, SIDE, Decoder(fail_at=128), origin)
    (pixels,) = cache.home().rglob("pixels")
    content = bytearray(pixels.read_bytes())
    content[5] ^= 1  # of the first piece, as if it had never reached the disk
    pixels.write_bytes(content)
    journal = pixels.with_name("journal")
    journal.write_text(journal.read_text() + '{"start": 128, "cou')  # cut short
    second = Decoder()
    images, _ = collect(COUNT, SIDE, second, origin)
    assert second.made == [0, 128]
    assert np.array_equal(images, EXPECTED)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_store
from tenfold.datasets import store
store.WORTH = 1
class Slow(test_store.Decoder):
    def __call__(self, finished):
        for piece in super().__call__(finished):
            yield piece
            print("made", piece.start, flush=True)
            time.sleep(30 if piece.start == 64 else 0)
store.collect(test_store.COUNT, test_store.SIDE, Slow(), store.Origin("set train", [Path(sys.argv[2])]))
"""


def test_a_killed_process_leaves_its_finished_pieces(origin):
    words = [sys.executable, "-c", KILLED, os.path.dirname(__file__), str(origin.files[0])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["made 0\n", "made 64\n"]
        process.send_signal(signal.SIGKILL)
    decoder = Decoder()
    images, _ = collect(COUNT, SIDE, decoder, origin)
    assert decoder.made == [128]
    assert np.array_equal(images, EXPECTED)


def test_a_damaged_entry_is_replaced(origin):
    collect(COUNT, SIDE, Decoder(), origin)
    (pixels,) = cache.home().rglob("pixels")
    pixels.write_bytes(pixels.read_bytes()[:100])
    assert np.array_equal(collect(COUNT, SIDE, Decoder(), origin)[0], EXPECTED)


def test_little_work_is_not_kept(origin, monkeypatch):
    monkeypatch.setattr(store, "WORTH", COUNT + 1)
    images, _ = collect(COUNT, SIDE, Decoder(), origin)
    assert np.array_equal(images, EXPECTED)
    assert not cache.home().exists()
    monkeypatch.setattr(store, "HEAVY", 8)  # large files are much work, too
    collect(COUNT, SIDE, Decoder(), origin)
    assert kept() == ["pixels", "whole.json"]


def test_a_cache_that_cannot_be_written_costs_time_only(origin):
    cache.home().write_text("a file where the folder should be")
    for _ in range(2):
        decoder = Decoder()
        assert np.array_equal(collect(COUNT, SIDE, decoder, origin)[0], EXPECTED)
        assert len(decoder.made) == 3


def test_what_takes_too_much_memory_stays_on_the_disk(origin, little_memory):
    for decoder in (Decoder(), Decoder()):
        images, problems = collect(COUNT, SIDE, decoder, origin)
        assert isinstance(images, Rows)
        assert np.array_equal(images[:], EXPECTED)
        assert list(problems) == [70]
    assert decoder.made == []
    (note,) = store.note(images)
    assert "they stay on the disk" in note
    assert store.note(EXPECTED) == ()


def test_test_pictures_leave_no_copy(origin, little_memory):
    images, problems = collect(COUNT, SIDE, Decoder())
    assert isinstance(images, Rows)
    assert kept() == []
    assert np.array_equal(images[:], EXPECTED)
    assert list(problems) == [70]


@pytest.mark.parametrize("named", [True, False])
def test_neither_memory_nor_disk_is_said_before_the_work(origin, little_memory, monkeypatch, named):
    monkeypatch.setattr(store, "_reserve", full)
    decoder = Decoder()
    with pytest.raises(ResourceError, match=r"No space left on device.*set TENFOLD_CACHE"):
        collect(COUNT, SIDE, decoder, origin if named else None)
    assert decoder.made == []


def full(folder, size):
    raise OSError(28, os.strerror(28))


def test_there_is_room_on_the_disk_for_little(tmp_path):
    store._reserve(tmp_path, 1)
    with pytest.raises(OSError, match="No space"):
        store._reserve(tmp_path, 2**62)
