import itertools
import pickle

import idx_files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold import machine
from tenfold.config import Config
from tenfold.datasets import find, pictures, store
from tenfold.datasets.rows import Rows
from tenfold.errors import DataError, UsageError
from tenfold.images import encode_png

ONE = encode_png(np.full((8, 8, 3), 7, np.uint8))


def test_the_range_of_sizes_is_that_of_the_settings():
    for size in (pictures.SMALLEST, pictures.LARGEST):
        Config(image_size=size)
    for size in (pictures.SMALLEST - 1, pictures.LARGEST + 1):
        with pytest.raises(UsageError):
            Config(image_size=size)


def test_sizes_are_read_only_as_far_as_needed():
    endless = itertools.chain([(8, 8)], itertools.repeat((9, 9)))
    assert pictures.choose_shape(endless, None, "pad").size == pictures.USUAL
    assert pictures.choose_shape(iter(lambda: pytest.fail("was read"), None), 64, "pad").size == 64


def test_gather_keeps_order_and_names_what_is_missing():
    count = 3000  # more than one round of work
    sources = (
        encode_png(np.full((8, 8, 3), row % 256, np.uint8)) if row != 700 else b"" for row in range(count)
    )
    ids = [f"row{row}" for row in range(count)]
    data = pictures.gather(sources, np.arange(count) % 2, ids, ("a", "b"), "train", pictures.Shape(8, "pad"))
    expected = [row for row in range(count) if row != 700]
    assert data.images[:, 0, 0, 0].tolist() == [row % 256 for row in expected]
    assert data.ids == tuple(f"row{row}" for row in expected)
    assert data.notes == (
        "Skipped 1 picture that cannot be read in train. " + data.notes[0].split(". ", 1)[1],
    )
    assert "row700 is empty" in data.notes[0]


def test_nothing_readable_is_an_error():
    with pytest.raises(DataError, match=r"None of the 2 test pictures can be read\. First: a is empty"):
        pictures.gather(
            [b"", b""], np.array([0, 1]), ["a", "b"], ("x", "y"), "test", pictures.Shape(8, "pad")
        )


def test_resize_all_leaves_the_right_size_alone():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert pictures.resize_all(images, pictures.Shape(8, "pad")) is images
    assert pictures.resize_all(images, pictures.Shape(16, "pad")).shape == (2, 16, 16, 3)


def test_resizing_more_than_memory_holds_goes_to_the_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), np.uint8)
    shape = pictures.Shape(64, "pad")
    expected = pictures.resize_all(images, shape)
    monkeypatch.setattr(machine, "free_memory", lambda: expected.nbytes)
    found = pictures.resize_all(images, shape)
    assert isinstance(found, Rows)
    assert np.array_equal(found[:], expected)
    assert list(tmp_path.iterdir()) == []


def test_decoding_of_many_is_told_in_rounds():
    told = []
    count = 2 * 16 * store.PIECE + 5
    pictures.gather(
        [ONE] * count,
        np.zeros(count, int),
        ["x"] * count,
        ("a",),
        "train",
        pictures.Shape(8, "pad"),
        reading=lambda *at: told.append(at),
    )
    assert told == [(2048, count), (count, count)]


def folder_set(home, random):
    for name in ("train/ant", "train/bee", "validation/ant", "test/bee"):
        (home / name).mkdir(parents=True)
        for number in range(2):
            pixels = random.integers(0, 256, (9, 12 + number, 3), np.uint8)
            (home / name / f"{number}.png").write_bytes(encode_png(pixels))
    return home


def list_set(home, random):
    folder_set(home, random)
    files = sorted(home.rglob("*.png"))
    rows = [f"{f.relative_to(home)},{f.parent.name},{f.parts[-3]}" for f in files]
    (home / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    return home / "list.csv"


def parquet_set(home, random):
    home.mkdir()
    rows = [{"bytes": encode_png(random.integers(0, 256, (9, 12, 3), np.uint8))} for _ in range(4)]
    for split in ("train", "validation", "test"):
        pq.write_table(pa.table({"img": rows, "label": [0, 1, 0, 1]}), home / f"{split}.parquet")
    return home


def npz_set(home, random):
    images = random.integers(0, 256, (4, 9, 12, 3), np.uint8)
    arrays = {f"{split}_images": images for split in ("train", "val", "test")}
    arrays |= {f"{split}_labels": np.arange(4) % 2 for split in ("train", "val", "test")}
    np.savez(home.with_suffix(".npz"), **arrays)
    return home.with_suffix(".npz")


def cifar_set(home, random):
    home.mkdir()
    batch = {b"data": random.integers(0, 256, (4, 3072), np.uint8), b"labels": [0, 1, 0, 1]}
    names = {b"label_names": [b"ant", b"bee"]}
    files = {f"data_batch_{i}": batch for i in range(1, 6)} | {"test_batch": batch, "batches.meta": names}
    for name, content in files.items():
        (home / name).write_bytes(pickle.dumps(content, protocol=2))
    return home


def idx_set(home, random):
    return idx_files.write(home)


@pytest.mark.parametrize("size", [pictures.SMALLEST, 9, pictures.LARGEST])
@pytest.mark.parametrize("make", [folder_set, list_set, parquet_set, npz_set, cifar_set, idx_set])
def test_every_reader_brings_every_split_to_any_size(make, size, tmp_path):
    source = find(make(tmp_path / "set", np.random.default_rng(0)), image_size=size)
    for split in source.splits:
        images = source.read(split).images
        assert images.shape[1:] == (size, size, 3)
        assert images.dtype == np.uint8
        assert images.std() > 5
