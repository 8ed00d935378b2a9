"""A folder of class folders, with or without folders for train, validation and test above them."""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from tenfold.datasets import labelled
from tenfold.datasets.dataset import Reading, Source, Split
from tenfold.datasets.labelled import SPLIT_WORDS, Files
from tenfold.errors import DataError
from tenfold.images import PICTURE_SUFFIXES, Fit

_EXPECTED = "Expected one folder a class with pictures in it, or such folders below train, val and test"


def find(
    folder: Path,
    image_size: int | None = None,
    fit: Fit = "pad",
    strict: bool = True,
    reading: Reading | None = None,
) -> Source:
    """The source in `folder`.

    Classes are the folder names of the training split in alphabetical order, and other splits are
    matched to them by name. Hidden files and folders do not count. Where there is no test folder, a
    tenth of the training pictures is held out by path. Where not `strict`, classes that only validation or
    test has come behind those of the training split.

    Raises:
        DataError: no class folders, fewer than two classes, or, where `strict`, a class that only validation
            or test has.
    """
    ignored: Counter[str] = Counter()
    notes: list[str] = []
    listed = {
        split: _classes(folder, place, ignored) for split, place in _split_folders(folder, notes).items()
    }
    for split in [split for split in listed if split != "train" and not any(listed[split].values())]:
        # Contest sets bring test pictures without classes: nothing can be scored on them.
        notes.append(f"Ignored the {split} folder: it holds no class folders with pictures.")
        del listed[split]
    empty = [name for name, paths in listed["train"].items() if not paths]
    if empty:
        notes.append(f"Ignored class folders without pictures: {', '.join(empty)}.")
    class_names = tuple(name for name, paths in listed["train"].items() if paths)
    strange = _check_classes(folder, class_names, listed, strict)
    class_names += tuple(sorted(strange))
    splits = {split: _pictures(classes, class_names) for split, classes in listed.items()}
    if ignored:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in ignored.most_common(5))
        hint = " Save HEIC pictures as JPEG first." if {".heic", ".heif"} & ignored.keys() else ""
        notes.append(f"Ignored {ignored.total():,} files that are no pictures of a class: {kinds}.{hint}")
    return labelled.source(
        "folder",
        folder,
        folder,
        splits,
        class_names,
        tuple(notes),
        image_size=image_size,
        fit=fit,
        reading=reading,
    )


def _split_folders(folder: Path, notes: list[str]) -> dict[Split, Path]:
    """The folder of each split; `folder` itself is the training split where it holds the classes."""
    found: dict[Split, Path] = {}
    others = []
    for child in _folders(folder):
        split = SPLIT_WORDS.get(child.name.lower())
        if split is None:
            others.append(child.name)
        elif split in found:
            raise DataError(
                f"{folder} has two folders for {split}: {found[split].name} and {child.name}. Keep one."
            )
        else:
            found[split] = child
    if not found:
        return {"train": folder}
    if "train" not in found:
        raise DataError(
            f"{folder} has a folder {next(iter(found.values())).name} but none named train. "
            f"{_EXPECTED}; put the training classes into train."
        )
    if others:
        notes.append(f"Ignored folders beside train: {', '.join(others[:5])}.")
    return found


def _folders(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
    except PermissionError:
        raise DataError(f"{folder} may not be read. Give yourself the right: chmod u+rx.") from None
    return [child for child in children if child.is_dir() and not child.name.startswith(".")]


def _classes(source: Path, folder: Path, ignored: Counter[str]) -> dict[str, list[str]]:
    """For each class folder, the pictures in it at any depth, as paths below `source`."""
    classes = {}
    for child in _folders(folder):
        classes[child.name] = sorted(path.relative_to(source).as_posix() for path in _files(child, ignored))
    for entry in folder.iterdir():
        if entry.is_file() and not entry.name.startswith("."):
            ignored["beside the class folders"] += 1
    return classes


def _files(folder: Path, ignored: Counter[str]) -> list[Path]:
    files = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in PICTURE_SUFFIXES and not name.startswith("."):
                files.append(Path(place, name))
            elif not name.startswith("."):
                ignored[suffix or "without ending"] += 1
    return files


def _refuse(error: OSError) -> None:
    raise DataError(
        f"{error.filename} cannot be listed: {error.strerror}. Give yourself the right: chmod u+rx."
    )


def _check_classes(
    folder: Path, class_names: tuple[str, ...], listed: dict[Split, dict[str, list[str]]], strict: bool
) -> set[str]:
    """The classes that train lacks; an error where there are any and it is `strict`."""
    if not class_names:
        lists = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".csv", ".tsv"))
        hint = f" To train on the pictures that {lists[0]} lists, give that file." if lists else ""
        raise DataError(f"{folder} holds no class folders with pictures. {_EXPECTED}.{hint}")
    if len(class_names) == 1:
        raise DataError(
            f"{folder} has one class only: {class_names[0]}. {_EXPECTED}, for two classes or more."
        )
    every: set[str] = set()
    for split, classes in listed.items():
        strange = [name for name, paths in classes.items() if paths and name not in class_names]
        every |= set(strange)
        if strange and strict:
            raise DataError(
                f"{folder}: {split} has classes that train lacks: {', '.join(strange[:5])}. Expected names "
                f"out of {', '.join(class_names[:10])}; rename the folders or add training pictures."
            )
    return every


def _pictures(classes: dict[str, list[str]], class_names: tuple[str, ...]) -> Files:
    rows = [(path, label) for label, name in enumerate(class_names) for path in classes.get(name, ())]
    return Files(tuple(path for path, _ in rows), np.array([label for _, label in rows], np.int64))
