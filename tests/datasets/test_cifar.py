import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tenfold.datasets import cifar, find, load
from tenfold.datasets.catalogue import CIFAR10_CLASSES
from tenfold.errors import DataError

PYTHON10, BINARY10, PYTHON100, BINARY100 = cifar.VERSIONS
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), np.uint8)


def archive_of(files: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def folder_of(files: dict[str, bytes], path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def python_files(version: cifar.Version = PYTHON10) -> dict[str, bytes]:
    """One picture a batch, written by Python 3 with the names that Python 2 gave to bytes."""
    names = [f"class{i}".encode() for i in range(10)]
    files = {version.names: pickle.dumps({version.names_key: names}, protocol=2)}
    for row, name in enumerate((*version.train, *version.test)):
        data = PIXELS[row : row + 1].reshape(1, -1)
        batch = {b"data": data, version.label_key: [row], b"filenames": [b"picture%d.png" % row]}
        files[name] = pickle.dumps(batch, protocol=2)
    return files


def binary_files(version: cifar.Version = BINARY10) -> dict[str, bytes]:
    files = {version.names: b"\n".join(b"class%d" % i for i in range(10)) + b"\n\n"}
    for row, name in enumerate((*version.train, *version.test)):
        files[name] = bytes([7] * (version.label_bytes - 1) + [row]) + PIXELS[row].tobytes()
    return files


@pytest.mark.parametrize("pack", [archive_of, folder_of])
@pytest.mark.parametrize(
    ("version", "files"),
    [
        pytest.param(version, make(version), id=version.kind)
        for version, make in zip(
            cifar.VERSIONS, [python_files, binary_files, python_files, binary_files], strict=True
        )
    ],
)
def test_every_published_version_gives_the_same_pictures(tmp_path, version, files, pack):
    source = find(pack(files, tmp_path / "download"))
    assert source.kind == version.kind
    assert source.splits == ("train", "test")
    assert source.class_names[:2] == ("class0", "class1")
    train, test = source.read("train"), source.read("test")
    count = len(version.train)
    assert np.array_equal(train.images, PIXELS[:count].transpose(0, 2, 3, 1))
    assert train.labels.tolist() == list(range(count))
    assert np.array_equal(test.images[0], PIXELS[count].transpose(1, 2, 0))
    assert len(set(train.ids)) == count


def test_the_folder_above_does_as_well(tmp_path):
    folder_of(python_files(), tmp_path / "data" / "cifar-10-batches-py")
    assert find(tmp_path / "data").location.endswith("cifar-10-batches-py")


def test_true_pictures_in_the_original_format(data_home):
    path = data_home / "cifar-10-python-mini.tar.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in $TENFOLD_DATA")
    train, test = load(path), load(path, "test")
    assert train.class_names == CIFAR10_CLASSES
    assert train.images.shape == (1500, 32, 32, 3)
    assert test.images.shape == (300, 32, 32, 3)
    assert 100 < train.images.mean() < 140
    assert len(set(train.ids)) == 1500
    assert train.ids[0].endswith(".png")


def test_a_missing_test_file_leaves_training_usable(tmp_path):
    files = python_files()
    del files["test_batch"]
    source = find(folder_of(files, tmp_path / "set"))
    assert source.splits == ("train",)
    assert source.notes[0].startswith("No test split: test_batch is missing")


@pytest.mark.parametrize("pack", [archive_of, folder_of])
def test_training_does_not_look_into_the_test_file(tmp_path, pack):
    path = pack({**python_files(), "test_batch": b"damaged"}, tmp_path / "set")
    assert len(load(path)) == 5
    with pytest.raises(DataError, match="test_batch is damaged"):
        load(path, "test")


class Evil:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("pack", [archive_of, folder_of])
@pytest.mark.parametrize("member", ["batches.meta", "data_batch_3"])
def test_a_pickle_that_would_run_a_program_is_refused(tmp_path, pack, member):
    mark = tmp_path / "it-ran"
    evil = pickle.dumps({b"data": Evil(mark), b"labels": [0], b"label_names": [b"a"]}, protocol=2)
    with pytest.raises(DataError, match=r"asks to run (posix|nt)\.system.*nothing was run"):
        load(pack({**python_files(), member: evil}, tmp_path / "set"))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"data_batch_2": None}, "incomplete: data_batch_2 missing", id="missing-batch"),
        pytest.param({"data_batch_2": b"\x80\x02}"}, "data_batch_2 is damaged", id="cut-off"),
        pytest.param({"data_batch_2": pickle.dumps([1])}, "holds no CIFAR batch", id="a-list"),
        pytest.param({"data_batch_2": pickle.dumps({b"data": 1})}, "holds no CIFAR batch", id="no-array"),
        pytest.param(
            {"data_batch_2": pickle.dumps({b"data": np.zeros((1, 3072), "f4"), b"labels": [0]}, 2)},
            "another type than bytes",
            id="floats",
        ),
        pytest.param(
            {"data_batch_2": pickle.dumps({b"data": PIXELS[:1].reshape(1, -1), b"labels": [10]}, 2)},
            r"from 0 to 9 \(10 classes\).*Received: 10 in row 0",
            id="label-out-of-range",
        ),
        pytest.param(
            {"data_batch_2": pickle.dumps({b"data": PIXELS[:1].reshape(1, -1), b"labels": [1, 2]}, 2)},
            "2 labels, 1 pictures",
            id="too-many-labels",
        ),
        pytest.param({"batches.meta": pickle.dumps({b"x": 1})}, "holds no class names", id="no-names"),
    ],
)
def test_damaged_sets_say_which_file(tmp_path, changes, words):
    files = {name: content for name, content in {**python_files(), **changes}.items() if content}
    with pytest.raises(DataError, match=words) as caught:
        load(folder_of(files, tmp_path / "set"))
    assert "\n" not in str(caught.value)


def test_a_half_record_in_the_binary_version_is_named(tmp_path):
    files = binary_files()
    files["data_batch_4.bin"] += b"xyz"
    with pytest.raises(DataError, match=r"data_batch_4\.bin is damaged.*3,076 bytes"):
        load(folder_of(files, tmp_path / "set"))


def test_a_cut_off_archive_says_so(tmp_path):
    path = archive_of(python_files(), tmp_path / "cifar.tar.gz")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match="damaged or incomplete"):
        load(path)


def test_an_archive_of_something_else_lists_what_is_in_it(tmp_path):
    path = archive_of({"cat.jpg": b"x"}, tmp_path / "pets.tar.gz")
    with pytest.raises(DataError, match=r"none of CIFAR's.*Received: cat\.jpg"):
        load(path)


def test_pictures_come_to_the_size_asked_for(tmp_path):
    path = folder_of(python_files(), tmp_path / "set")
    assert load(path, image_size=48).images.shape == (5, 48, 48, 3)
