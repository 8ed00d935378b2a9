"""NumPy archives: `x_train, y_train, ...` as Keras writes them, MedMNIST's names, or `images, labels`."""

from pathlib import Path

import numpy as np

from tenfold.datasets.dataset import Dataset, Source, Split
from tenfold.datasets.holdout import hold_out, note
from tenfold.datasets.labels import absent, check_labels, numbered
from tenfold.datasets.pictures import choose_shape, resize_all
from tenfold.errors import DataError
from tenfold.images import Fit

_NAMES: dict[Split, tuple[tuple[str, str], ...]] = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y")),
    "validation": (("x_val", "y_val"), ("x_valid", "y_valid"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
_EXPECTED = "Expected x_train, y_train, x_test and y_test, or images and labels"


def find(path: Path, image_size: int | None = None, fit: Fit = "pad") -> Source:
    """The source in the archive `path`.

    Pictures are (n, height, width) or (n, height, width, 1) in grey or (n, height, width, 3) in colour,
    uint8, or float from 0 to 1. Optional `class_names` name the classes. Where no test pictures are
    in it, a tenth is held out. Only the arrays of the split that is read leave the disk.

    Raises:
        DataError: not such an archive, arrays missing, or pictures and labels that do not fit.
    """
    with _Arrays(path) as arrays:
        pairs: dict[Split, tuple[str, str]] = {}
        for split, choices in _NAMES.items():
            pair = next((pair for pair in choices if pair[0] in arrays.names), None)
            if pair and pair[1] not in arrays.names:
                raise DataError(f"{path} has {pair[0]} but no {pair[1]}. {_EXPECTED}.")
            if pair:
                pairs[split] = pair
        if "train" not in pairs:
            raise DataError(
                f"{path} has no training arrays. {_EXPECTED}; unpack a zip of pictures first. "
                f"Received: {', '.join(arrays.names[:8])}"
            )
        named = arrays.take("class_names") if "class_names" in arrays.names else None
        values = arrays.take(pairs["train"][1])
    labels = check_labels(
        values, len(values), None if named is None else named.size, f"{path}: {pairs['train'][1]}"
    )
    class_names = tuple(str(name) for name in named) if named is not None else _numbered(path, labels)
    notes: tuple[str, ...] = ()
    held: dict[Split, np.ndarray] = {}
    if "test" not in pairs:
        held["train"], held["test"] = hold_out(labels, class_names, str(path))
        notes = (note(held["test"], len(labels)),)

    def read(split: Split) -> Dataset:
        image_key, label_key = pairs.get(split, pairs["train"])
        with _Arrays(path) as arrays:
            images, notes = _pixels(arrays.take(image_key), f"{path}: {image_key}")
            where = f"{path}: {label_key}"
            labels = check_labels(arrays.take(label_key), len(images), len(class_names), where)
            height, width = images.shape[1:3] if split == "train" else arrays.shape(pairs["train"][0])[1:3]
        shape = choose_shape([(width, height)], image_size, fit)
        rows = held.get(split, np.arange(len(labels)))
        images = resize_all(images[rows] if split in held else images, shape)
        notes += shape.notes + absent(labels[rows], class_names, split)
        ids = tuple(f"{image_key}:{row}" for row in rows)
        return Dataset(images, labels[rows], class_names, ids, notes)

    order: tuple[Split, ...] = ("train", "validation", "test")
    splits = tuple(split for split in order if split in pairs or split in held)
    return Source("npz", str(path), class_names, splits, read, notes, held_out=bool(held))


def _numbered(path: Path, labels: np.ndarray) -> tuple[str, ...]:
    classes = int(labels.max()) + 1 if len(labels) else 0
    if classes < 2:
        raise DataError(f"{path} has fewer than two classes. Expected labels 0, 1 and so on.")
    return numbered(classes)


def _pixels(images: np.ndarray, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """uint8 (n, height, width, 3), and a note where values had to be converted."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        first = images.ndim == 4 and images.shape[1] in (1, 3)
        hint = " Channels come last: save images.transpose(0, 2, 3, 1)." if first else ""
        raise DataError(
            f"{where} must be (n, height, width), with 1 or 3 channels last.{hint} "
            f"Received: shape={images.shape}"
        )
    notes: tuple[str, ...] = ()
    if images.dtype.kind == "f" and images.min() >= 0 and images.max() <= 1:
        images = np.round(images * 255).astype(np.uint8)
        notes = (f"{where} holds numbers from 0 to 1; they were scaled to 0 to 255.",)
    if images.dtype != np.uint8:
        raise DataError(
            f"{where} must be uint8 from 0 to 255, or float from 0 to 1; convert and save it again. "
            f"Received: dtype={images.dtype}, values from {images.min():.4g} to {images.max():.4g}"
        )
    return (np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images), notes


class _Arrays:
    """An open archive; arrays that would need pickle are refused."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "_Arrays":
        try:
            self.file = open(self.path, "rb")
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}.") from None
        try:
            archive = np.load(self.file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("it holds one array (.npy), without labels")
            self.archive = archive
            self.names = tuple(archive.files)
        except Exception as error:  # BadZipFile, ValueError, EOFError.
            self.file.close()
            raise DataError(f"{self.path} is no NumPy archive (.npz): {error}. {_EXPECTED}.") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()
        self.file.close()

    def take(self, name: str) -> np.ndarray:
        try:
            return self.archive[name]
        except Exception as error:  # Damaged members raise zlib.error, BadZipFile, ValueError, EOFError.
            raise DataError(f"{self.path}: {name} cannot be read: {error}. Save it again.") from None

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape from the array's header, without its values."""
        with self.archive.zip.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            return header(member)[0]
