import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.datasets import find, load
from tenfold.errors import DataError
from tenfold.images import encode_png

NAMES = ("ant", "bee")


def blobs(count: int, size: int = 8) -> list[bytes]:
    random = np.random.default_rng(count)
    return [encode_png(random.integers(0, 256, (size, size, 3), np.uint8)) for _ in range(count)]


def write(path: Path, pictures, labels, *, names=NAMES, image="img", label="label", paths=None) -> Path:
    """A shard as the Hugging Face tools write it."""
    rows = [{"bytes": content, "path": paths[row] if paths else None} for row, content in enumerate(pictures)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({image: pa.array(rows, kind), label: pa.array(labels)})
    if names:
        features = {image: {"_type": "Image"}, label: {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)
    return path


@pytest.mark.parametrize("below", ["", "data"])
@pytest.mark.parametrize("image", ["img", "image"])
def test_shards_are_joined_and_splits_told_by_name(tmp_path, below, image):
    pictures = blobs(5)
    write(tmp_path / below / "train-00000-of-00002.parquet", pictures[:3], [0, 1, 0], image=image)
    write(tmp_path / below / "train-00001-of-00002.parquet", pictures[3:], [1, 1], image=image)
    write(tmp_path / below / "validation-00000-of-00001.parquet", blobs(2), [0, 1], image=image)
    write(tmp_path / below / "test-00000-of-00001.parquet", blobs(4), [0, 1, 0, 1], image=image)
    source = find(tmp_path)
    assert (source.kind, source.splits) == ("parquet", ("train", "validation", "test"))
    assert source.class_names == NAMES
    assert source.notes == ()
    train = source.read("train")
    assert train.labels.tolist() == [0, 1, 0, 1, 1]
    assert train.ids[3] == "train-00001-of-00002.parquet:0"
    assert [encode_png(image) for image in train.images] == pictures
    assert len(source.read("validation")) == 2
    assert len(source.read("test")) == 4


def test_unique_paths_serve_as_ids(tmp_path):
    path = write(tmp_path / "train.parquet", blobs(3), [0, 1, 1], paths=["a.png", "b.png", "c.png"])
    write(tmp_path / "test.parquet", blobs(2), [0, 1], paths=["same.png", "same.png"])
    assert load(tmp_path).ids == ("a.png", "b.png", "c.png")
    assert load(tmp_path, "test").ids == ("test.parquet:0", "test.parquet:1")
    assert path.exists()


def test_a_single_file_holds_out_a_tenth(tmp_path):
    pictures = blobs(40)
    path = write(tmp_path / "all.parquet", pictures, [0, 1] * 20, names=None)
    train, test = load(path), load(path, "test")
    assert train.class_names == ("0", "1")
    assert (len(train), len(test)) == (36, 4)
    assert not set(train.ids) & set(test.ids)
    for data in (train, test):
        rows = [int(name.rpartition(":")[2]) for name in data.ids]
        assert [encode_png(image) for image in data.images] == [pictures[row] for row in rows]
        assert data.labels.tolist() == [row % 2 for row in rows]


@pytest.mark.parametrize("name", ["cifar10-test.parquet", "testing.parquet", "Test_0.parquet"])
def test_files_for_testing_never_count_as_training(tmp_path, name):
    write(tmp_path / "train.parquet", blobs(4), [0, 1, 0, 1])
    write(tmp_path / name, blobs(2), [0, 1])
    source = find(tmp_path)
    assert source.splits == ("train", "test")
    assert len(source.read("train")) == 4


def test_other_splits_are_matched_by_class_name(tmp_path):
    write(tmp_path / "train.parquet", blobs(4), [0, 1, 0, 1])
    write(tmp_path / "test.parquet", blobs(3), [0, 0, 1], names=("bee", "ant"))
    assert load(tmp_path, "test").labels.tolist() == [1, 1, 0]
    write(tmp_path / "test.parquet", blobs(3), [0, 0, 1], names=("bee", "wasp"))
    with pytest.raises(DataError, match="classes that the training files lack: wasp"):
        load(tmp_path, "test")


def test_a_missing_shard_is_noted(tmp_path):
    write(tmp_path / "train-00000-of-00003.parquet", blobs(4), [0, 1, 0, 1])
    write(tmp_path / "test.parquet", blobs(2), [0, 1])
    assert "Only 1 of 3 train files" in load(tmp_path).notes[0]


def test_unreadable_rows_are_skipped_and_named(tmp_path):
    pictures = [*blobs(3), b"no picture", None]
    write(tmp_path / "train.parquet", pictures, [0, 1, 0, 1, 1])
    write(tmp_path / "test.parquet", blobs(2), [0, 1])
    train = load(tmp_path)
    assert train.labels.tolist() == [0, 1, 0]
    assert "Skipped 2 pictures" in train.notes[0]
    assert "train.parquet:3 holds no picture" in train.notes[0]


def test_plain_bytes_and_mixed_sizes_do_as_well(tmp_path):
    table = pa.table({"image": [*blobs(4), *blobs(4, size=12)], "labels": [0, 1] * 4})
    pq.write_table(table, tmp_path / "train.parquet")
    data = load(tmp_path)
    assert data.images.shape == (6, 32, 32, 3)
    assert any("differ in size" in note for note in data.notes)


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([0, 2, 1], NAMES, r"from 0 to 1 \(2 classes\).*Received: 2 in row 1"),
        ([0, -1, 1], NAMES, "A label of -1 means that there is none"),
        ([0.0, 1.0, 1.0], NAMES, "whole numbers"),
        ([0, None, 1], NAMES, "1 rows without a label"),
        ([0, 0, 0], None, "one class only"),
    ],
)
def test_unusable_labels_say_why(tmp_path, labels, names, words):
    path = write(tmp_path / "train.parquet", blobs(3), labels, names=names)
    with pytest.raises(DataError, match=words) as caught:
        find(path)
    assert "train.parquet" in str(caught.value) or "one class" in words


def test_what_is_no_such_table_is_named(tmp_path):
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"lacks a column.*Received: text, label"):
        find(tmp_path)
    pq.write_table(pa.table({"image": ["a.png"], "label": [0]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="must hold the bytes of picture files"):
        find(tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        find(tmp_path)
    (tmp_path / "train.parquet").rename(tmp_path / "test.parquet")
    with pytest.raises(DataError, match="no training rows"):
        find(tmp_path)


def test_training_never_opens_the_test_file(tmp_path):
    """An audit hook, which cannot be taken off again, lists what a fresh process opens."""
    write(tmp_path / "train.parquet", blobs(4), [0, 1, 0, 1])
    write(tmp_path / "test.parquet", blobs(2), [0, 1])
    program = (
        "import sys, tenfold.datasets as d; opened = [];"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None);"
        "d.load(sys.argv[1]); print([p for p in opened if p.endswith('.parquet')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert "train.parquet" in done.stdout
    assert "test.parquet" not in done.stdout


def test_true_cifar10(cifar_data):
    test = load(cifar_data, "test")
    assert test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert test.notes == ()
    assert test.images.mean() == pytest.approx(121.53, abs=0.01)


def test_pictures_can_be_had_undecoded(tmp_path):
    pictures = [*blobs(20)[:19], b"no picture"]
    path = write(tmp_path / "all.parquet", pictures, [0, 1] * 10)
    source = find(path)
    encoded = [item for split in ("train", "test") for item in source.encoded(split)]
    assert len(list(source.encoded("test"))) == 2
    # An unreadable one is among them.
    assert sorted(content for _, _, content in encoded) == sorted(pictures)
    assert all(label == int(name.rpartition(":")[2]) % 2 for name, label, _ in encoded)
