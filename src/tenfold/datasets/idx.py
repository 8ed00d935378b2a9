"""MNIST's own format and Fashion-MNIST's: four files of bytes, as they are or with gzip, in one folder.

The format is described with the data (Y. LeCun, C. Cortes, C. Burges, "The MNIST database"): two zero bytes,
the type of the numbers, how many dimensions there are, each of them in four bytes, then the numbers.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np

from tenfold.datasets.dataset import Dataset, Source, Split
from tenfold.datasets.labels import absent, check_labels, numbered
from tenfold.datasets.pictures import choose_shape, resize_all
from tenfold.errors import DataError
from tenfold.images import Fit

_NAMES: dict[Split, str] = {"train": "train", "test": "t10k"}
_KINDS = ("images-idx3", "labels-idx1")
_BYTES = 0x08  # the type uint8


def home(folder: Path) -> Path | None:
    """`folder` or its folder `raw`, as torchvision has it, where the training files lie there."""
    for place in (folder, folder / "raw"):
        if all(_file(place, "train", kind) for kind in _KINDS):
            return place
    return None


def find(
    folder: Path,
    image_size: int | None = None,
    fit: Fit = "pad",
    class_names: tuple[str, ...] | None = None,
) -> Source:
    """The source in `folder`, which `home` knows.

    Args:
        folder: that holds `train-images-idx3-ubyte.gz` and the others.
        image_size: as in `datasets.find`; so is `fit`.
        class_names: of the labels 0, 1 and so on; by default their numbers.

    Raises:
        DataError: files missing, damaged, or of another kind of idx.
    """
    place = home(folder)
    if place is None:
        raise DataError(f"{folder} holds no train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz.")
    found: dict[Split, tuple[Path | None, Path | None]] = {
        split: (_file(place, name, _KINDS[0]), _file(place, name, _KINDS[1]))
        for split, name in _NAMES.items()
    }
    whole = {split: (images, labels) for split, (images, labels) in found.items() if images and labels}
    names = class_names
    if names is None:
        labels = _read(whole["train"][1], 1)
        names = numbered(int(labels.max()) + 1 if len(labels) else 0)
    missing = "test" not in whole
    notes = (f"No test split: t10k-images-idx3-ubyte.gz or its labels are missing from {place}.",)

    def read(split: Split) -> Dataset:
        image_file, label_file = whole[split]
        grey = _read(image_file, 3)
        labels = check_labels(_read(label_file, 1), len(grey), len(names), str(label_file))
        height, width = grey.shape[1:]
        shape = choose_shape([(width, height)], image_size, fit)
        images = resize_all(np.repeat(grey[..., np.newaxis], 3, axis=-1), shape)
        ids = tuple(f"{split}:{row}" for row in range(len(labels)))
        return Dataset(images, labels, names, ids, shape.notes + absent(labels, names, split))

    splits: tuple[Split, ...] = ("train",) if missing else ("train", "test")
    return Source("idx", str(place), names, splits, read, notes if missing else ())


def _file(place: Path, name: str, kind: str) -> Path | None:
    """Whichever of the names in use is there: as published, unpacked, or with Kaggle's dot."""
    known = [
        f"{name}-{spelled}-ubyte{end}" for spelled in (kind, kind.replace("-", ".")) for end in (".gz", "")
    ]
    return next((place / file for file in known if (place / file).is_file()), None)


def _read(path: Path, dimensions: int) -> np.ndarray:
    """uint8 of so many dimensions."""
    try:
        with open(path, "rb") as file:
            head = file.read(2)
            file.seek(0)
            content = gzip.GzipFile(fileobj=file).read() if head == b"\x1f\x8b" else file.read()
    except (OSError, EOFError, zlib.error) as error:  # a damaged stream raises each of them
        raise DataError(f"{path} is damaged or incomplete: {error}. Download it again.") from None
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, _BYTES, dimensions]):
        raise DataError(
            f"{path} is no idx file of bytes with {dimensions} dimensions. Expected it to begin with "
            f"{bytes([0, 0, _BYTES, dimensions])!r}; download it again. Received: {content[:4]!r}"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    if len(content) != header + int(np.prod(shape, dtype=np.int64)):
        raise DataError(
            f"{path} is damaged. Expected {' x '.join(map(str, shape))} bytes after its header; download it "
            f"again. Received: {len(content) - header:,} bytes"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
