"""Where pictures come from: `find` a source by name or path, `load` one of its splits.

A source is one of `catalogue.NAMES`, such as `cifar10`, or a path: a folder of class folders, a list of
paths and labels (CSV), CIFAR's archives or folders in the Python and the binary version, MNIST's four files,
parquet in the Hugging Face layout, or a NumPy archive. What a path holds is told by its content, not by its
name.
"""

import dataclasses
from pathlib import Path

from tenfold.config import Config
from tenfold.datasets import catalogue, cifar, columns, folder, idx, listing, memory, npz, parquet
from tenfold.datasets.dataset import Dataset, Reading, Source, Split, joined
from tenfold.datasets.download import Progress
from tenfold.errors import DataError, UsageError, unknown
from tenfold.images import Fit

__all__ = ["Dataset", "Progress", "Reading", "Source", "Split", "find", "joined", "load"]


def find(
    source: str | Path,
    *,
    image_size: int | None = None,
    fit: Fit = "pad",
    progress: Progress | None = None,
    reading: Reading | None = None,
    strict: bool = True,
) -> Source:
    """What `source` is and which splits it has; no picture is read.

    Args:
        source: a name out of `catalogue.NAMES`, or a path. A name wins; write ./cifar10 for a folder.
        image_size: side in pixels, 8 to 256; default: the training pictures' own where all share one.
        fit: how pictures that are not square become so.
        progress: told about a download, should one be needed.
        reading: told how far the decoding of a split has come, where that takes a while.
        strict: False also takes a folder of which validation or test has classes that train lacks; they
            come behind the others. `doctor` names them so.

    Raises:
        UsageError: a name that does not exist, or settings out of range.
        DataError: nothing usable there.

    Example:
        >>> find("digits").splits
        ('train', 'test')
    """
    Config(image_size=image_size)  # checks the range, which is written there
    if fit not in ("pad", "crop", "squash"):
        raise UsageError(unknown("fit", str(fit), ("pad", "crop", "squash")))
    if str(source).startswith(memory.PREFIX):
        return memory.find(str(source), image_size, fit)
    if source in catalogue.NAMES:
        return catalogue.find(str(source), image_size, fit, progress, reading)
    path = Path(source).expanduser()
    if not path.exists():
        raise _not_there(str(source))
    if path.is_dir():
        return _find_in_folder(path, image_size, fit, strict, reading)
    return _find_in_file(path, image_size, fit, strict, reading)


def load(
    source: str | Path,
    split: Split = "train",
    *,
    image_size: int | None = None,
    fit: Fit = "pad",
    progress: Progress | None = None,
    reading: Reading | None = None,
) -> Dataset:
    """The pictures of one split; no other split's pictures are read.

    Args:
        source: as in `find`.
        split: "train", "validation" or "test", out of the source's `splits`.
        image_size: as in `find`.
        fit: as in `find`.
        progress: as in `find`.
        reading: as in `find`.

    Raises:
        UsageError: a split that the source does not have, or as in `find`.
        DataError: nothing usable there.

    Example:
        >>> load("digits", "test").images.shape
        (359, 32, 32, 3)
    """
    found = find(source, image_size=image_size, fit=fit, progress=progress, reading=reading)
    if split not in found.splits:
        raise UsageError(unknown(f"split of {found.location}", str(split), found.splits))
    data = found.read(split)
    return dataclasses.replace(data, notes=found.notes + data.notes)


def _find_in_folder(
    path: Path, image_size: int | None, fit: Fit, strict: bool, reading: Reading | None
) -> Source:
    if cifar.home(path):
        return cifar.find(path, image_size, fit)
    if idx.home(path):
        return idx.find(path, image_size, fit)
    if parquet.shards(path):
        return parquet.find(path, image_size, fit, reading=reading)
    return folder.find(path, image_size, fit, strict, reading)


def _find_in_file(
    path: Path, image_size: int | None, fit: Fit, strict: bool, reading: Reading | None
) -> Source:
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    if head.startswith(b"PAR1"):
        return parquet.find(path, image_size, fit, reading=reading)
    if head.startswith((b"PK\3\4", b"\x93NUMPY")):
        return npz.find(path, image_size, fit)
    if idx.home(path.parent) and "idx" in path.name:
        raise DataError(f"{path} is one of MNIST's four files. Expected the folder of all: {path.parent}")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")) or head[257:262] == b"ustar":
        return cifar.find(path, image_size, fit)
    if columns.is_table(head) or path.suffix.lower() in (".csv", ".tsv"):
        return listing.find(path, image_size, fit, strict, reading)
    raise DataError(
        f"{path} is no data set. Expected a folder of class folders, a CIFAR archive (.tar.gz), parquet, npz "
        f"or a CSV of paths and labels. Received: {len(head)} bytes or more, beginning with {head[:12]!r}"
    )


def _not_there(source: str) -> DataError | UsageError:
    if "/" in source or "\\" in source or "." in source:
        return DataError(f"{source} does not exist. Expected a folder or file of pictures; check the path.")
    return UsageError(
        f"{unknown('data set', source, catalogue.NAMES)} A path to a folder or file does as well."
    )
