import io
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.datasets import catalogue, find, load
from tenfold.datasets.catalogue import CIFAR10_CLASSES
from tenfold.errors import DataError
from tenfold.images import encode_png


@pytest.fixture(autouse=True)
def bare_machine(tmp_path, monkeypatch):
    """A home without data, and no network."""
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(catalogue, "_MIRRORS", ("http://127.0.0.1:1/cifar-10-python.tar.gz",))


def python_batches() -> dict[str, bytes]:
    batch = {b"data": np.zeros((10, 3072), np.uint8), b"labels": list(range(10))}
    names = {b"label_names": [name.encode() for name in CIFAR10_CLASSES]}
    files = {f"data_batch_{i}": batch for i in range(1, 6)} | {"test_batch": batch, "batches.meta": names}
    return {name: pickle.dumps(content, protocol=2) for name, content in files.items()}


def python_folder(place):
    place.mkdir(parents=True)
    for name, content in python_batches().items():
        (place / name).write_bytes(content)


def python_archive(place):
    place.parent.mkdir(parents=True)
    with tarfile.open(place, "w:gz") as archive:
        for name, content in python_batches().items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def binary_folder(place):
    place.mkdir(parents=True)
    (place / "batches.meta.txt").write_text("\n".join(CIFAR10_CLASSES))
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        (place / name).write_bytes(b"".join(bytes([label]) + bytes(3072) for label in range(10)))


def parquet_folder(place):
    place.mkdir(parents=True)
    picture = {"bytes": encode_png(np.zeros((32, 32, 3), np.uint8))}
    for split in ("train", "test"):
        table = pa.table({"img": [picture] * 10, "label": list(range(10))})
        pq.write_table(table, place / f"{split}-00000-of-00001.parquet")


@pytest.mark.parametrize(
    ("make", "below", "kind"),
    [
        pytest.param(python_folder, "data/cifar-10-batches-py", "cifar10-python", id="python-folder"),
        pytest.param(python_folder, "data", "cifar10-python", id="the-folder-itself"),
        pytest.param(python_archive, "data/cifar-10-python.tar.gz", "cifar10-python", id="archive"),
        pytest.param(python_archive, "data/cifar10/cifar-10-python.tar.gz", "cifar10-python", id="below"),
        pytest.param(binary_folder, "data/cifar-10-batches-bin", "cifar10-binary", id="binary-folder"),
        pytest.param(parquet_folder, "data/cifar10", "cifar10-parquet", id="parquet"),
        pytest.param(parquet_folder, "data/cifar10/data", "cifar10-parquet", id="parquet-in-data"),
        pytest.param(python_archive, "cache/tenfold/cifar-10-python.tar.gz", "cifar10-python", id="cache"),
        pytest.param(
            python_folder,
            "keras/datasets/cifar-10-batches-py-target/cifar-10-batches-py",
            "cifar10-python",
            id="keras",
        ),
        pytest.param(python_folder, "keras/datasets/cifar-10-batches-py", "cifar10-python", id="old-keras"),
    ],
)
def test_cifar10_is_found_where_people_keep_it(tmp_path, monkeypatch, make, below, kind):
    make(tmp_path / below)
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    source = find("cifar10")
    assert source.kind == kind
    assert source.class_names == CIFAR10_CLASSES
    assert source.splits == ("train", "test")
    assert source.read("test").images.shape == (10, 32, 32, 3)


def test_other_tables_in_the_data_folder_are_not_taken_for_cifar10(tmp_path, monkeypatch):
    parquet_folder(tmp_path / "data")
    table = pa.table({"img": [{"bytes": b""}] * 40, "label": list(range(40))})
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match="could not be downloaded"):
        find("cifar10")


def test_without_a_network_one_line_says_where_to_put_the_archive(tmp_path):
    with pytest.raises(DataError) as caught:
        load("cifar10")
    message = str(caught.value)
    assert "\n" not in message
    for words in (str(tmp_path / "cache" / "tenfold"), str(tmp_path / "keras"), "TENFOLD_DATA", "by hand"):
        assert words in message
    assert list((tmp_path / "cache" / "tenfold").iterdir()) == []


def test_cifar10_by_name_from_the_real_files(data_home, cifar_data, monkeypatch):
    monkeypatch.setenv("TENFOLD_DATA", str(data_home))
    source = find("cifar10")
    assert source.location == str(cifar_data)
    assert source.class_names == CIFAR10_CLASSES
