import dataclasses
import functools
import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading

import idx_files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.datasets import catalogue, find, load
from tenfold.datasets.catalogue import CIFAR10_CLASSES, FASHION_CLASSES
from tenfold.errors import DataError
from tenfold.images import encode_png

PUBLISHED = dict(catalogue._KNOWN)


@pytest.fixture(autouse=True)
def bare_machine(tmp_path, monkeypatch):
    """A home without data, and no network."""
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    monkeypatch.delenv("TENFOLD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    nowhere = {
        name: dataclasses.replace(known, mirrors=("http://127.0.0.1:1/",))
        for name, known in catalogue._KNOWN.items()
    }
    monkeypatch.setattr(catalogue, "_KNOWN", nowhere)


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


HUNDRED = [f"class{number}" for number in range(100)]
TWENTY = [f"group{number}" for number in range(20)]


def cifar100_folder(place):
    """CIFAR-100's Python version with a picture for each class; five classes in a row make a group."""
    place.mkdir(parents=True)
    fine = list(range(100))
    batch = {b"data": np.zeros((100, 3072), np.uint8), b"fine_labels": fine}
    batch[b"coarse_labels"] = [number // 5 for number in fine]
    names = {b"fine_label_names": [name.encode() for name in HUNDRED]}
    names[b"coarse_label_names"] = [name.encode() for name in TWENTY]
    for name, content in {"train": batch, "test": batch, "meta": names}.items():
        (place / name).write_bytes(pickle.dumps(content, protocol=2))


def cifar100_archive(place):
    cifar100_folder(place.parent / "unpacked")
    with tarfile.open(place, "w:gz") as archive:
        archive.add(place.parent / "unpacked", "cifar-100-python")
    for file in (place.parent / "unpacked").iterdir():
        file.unlink()
    (place.parent / "unpacked").rmdir()


def cifar100_binary_folder(place):
    place.mkdir(parents=True)
    (place / "fine_label_names.txt").write_text("\n".join(HUNDRED))
    (place / "coarse_label_names.txt").write_text("\n".join(TWENTY))
    for name in ("train.bin", "test.bin"):
        rows = [bytes([number // 5, number]) + bytes(3072) for number in range(100)]
        (place / name).write_bytes(b"".join(rows))


def cifar100_parquet(place):
    place.mkdir(parents=True)
    picture = {"bytes": encode_png(np.zeros((32, 32, 3), np.uint8))}
    fine = list(range(100))
    names = {"fine_label": {"names": HUNDRED}, "coarse_label": {"names": TWENTY}}
    for split in ("train", "test"):
        columns = {"img": [picture] * 100, "fine_label": fine, "coarse_label": [n // 5 for n in fine]}
        table = pa.table(columns).replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": names}})}
        )
        pq.write_table(table, place / f"{split}-00000-of-00001.parquet")


@pytest.mark.parametrize(
    ("make", "below"),
    [
        pytest.param(cifar100_folder, "data/cifar-100-python", id="python-folder"),
        pytest.param(cifar100_archive, "data/cifar-100-python.tar.gz", id="archive"),
        pytest.param(cifar100_binary_folder, "data/cifar100/cifar-100-binary", id="binary-folder"),
        pytest.param(cifar100_parquet, "data/cifar100", id="parquet"),
        pytest.param(cifar100_folder, "keras/datasets/cifar-100-python-target/cifar-100-python", id="keras"),
    ],
)
def test_cifar100_is_found_with_its_classes_and_with_their_groups(tmp_path, monkeypatch, make, below):
    (tmp_path / below).parent.mkdir(parents=True)
    make(tmp_path / below)
    python_folder(tmp_path / "data" / "cifar-10-batches-py")  # beside it, and not to be mixed up with it
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    fine, coarse = find("cifar100"), find("cifar100-coarse")
    assert (fine.class_names, coarse.class_names) == (tuple(HUNDRED), tuple(TWENTY))
    assert fine.read("train").labels.tolist() == list(range(100))
    assert coarse.read("test").labels.tolist() == [number // 5 for number in range(100)]
    assert find("cifar10").class_names == CIFAR10_CLASSES


@pytest.mark.parametrize(
    ("name", "below"),
    [
        *(("mnist", "data/mnist"), ("mnist", "data/MNIST/raw"), ("mnist", "cache/tenfold/mnist")),
        ("fashion-mnist", "keras/datasets/fashion-mnist"),
        ("fashion-mnist", "data/FashionMNIST/raw"),
    ],
)
def test_the_two_mnists_are_told_apart_by_their_folder(tmp_path, monkeypatch, name, below):
    idx_files.write(tmp_path / below)
    monkeypatch.setenv("TENFOLD_DATA", str(tmp_path / "data"))
    source = find(name)
    assert source.read("train").images.shape == (10, 28, 28, 3)
    assert source.class_names == (FASHION_CLASSES if name == "fashion-mnist" else tuple("0123456789"))
    (other,) = {"mnist", "fashion-mnist"} - {name}
    with pytest.raises(DataError, match="not on this machine"):
        find(other)


def test_the_array_that_keras_downloads_is_mnist(tmp_path):
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    grey, labels = np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    arrays = {"x_train": grey, "y_train": labels, "x_test": grey[:10], "y_test": labels[:10]}
    np.savez(tmp_path / "keras" / "datasets" / "mnist.npz", **arrays)
    source = find("mnist")
    assert (source.kind, source.class_names, len(source.read("test"))) == ("npz", tuple("0123456789"), 10)


def test_a_download_of_several_files_goes_on_where_it_broke_off(tmp_path, monkeypatch):
    """Two of the four files are there already; the others come from a server on this machine."""
    files = idx_files.write(tmp_path / "server")
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files.iterdir())}
    here = tmp_path / "cache" / "tenfold" / "mnist"
    here.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        (files / name).rename(here / name)
    handler = functools.partial(QuietServer, directory=str(files))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_address[1]}/"
        known = dataclasses.replace(catalogue._KNOWN["mnist"], mirrors=(mirror,), files=hashes)
        monkeypatch.setitem(catalogue._KNOWN, "mnist", known)
        told = []
        source = find("mnist", progress=lambda done, total: told.append((done, total)))
        server.shutdown()
    assert source.splits == ("train", "test")
    assert len(source.read("test")) == 4
    assert told[-1][0] == told[-1][1] > 0


class QuietServer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_every_download_has_true_names_and_hashes():
    for known in PUBLISHED.values():
        assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in known.files.values())
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in known.mirrors)
        assert known.names is None or len(known.names) == known.classes
