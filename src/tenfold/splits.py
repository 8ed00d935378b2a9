"""Train, validation and test: cut honestly, recorded with hashes, and the one door to the test pictures."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import balance, datasets, runs
from tenfold.config import Config
from tenfold.datasets import fixes, store
from tenfold.datasets.rows import pieces
from tenfold.datasets.thinning import thinned
from tenfold.errors import DataError, UsageError


@dataclass(frozen=True)
class Parts:
    """What a training run sees.

    Attributes:
        source: where the pictures come from.
        train: the pictures to learn from.
        validation: the pictures to choose by, or None where all are trained on.
        origin: how the validation split came to be, in plain words.
        excluded: for each split, the ids that `config.exclude` names; the parts are without them.
    """

    source: datasets.Source
    train: datasets.Dataset
    validation: datasets.Dataset | None
    origin: str
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by split."""
        held = {} if self.validation is None else {"validation": len(self.validation)}
        return {"train": len(self.train), **held}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the readers noticed, each sentence once."""
        held = () if self.validation is None else self.validation.notes
        kept = store.note(self.train.images)
        return tuple(dict.fromkeys((*self.source.notes, *self.train.notes, *held, *self._left_out, *kept)))

    @property
    def _left_out(self) -> tuple[str, ...]:
        counts = [f"{len(ids):,} {split}" for split, ids in self.excluded.items() if ids]
        return (f"Left out as the fix list says: {' and '.join(counts)} pictures.",) if counts else ()


def hold_out(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Holds back the same share of every class.

    Args:
        labels: int (n,).
        share: of the pictures to hold back, above 0 and below 1.
        seed: the same seed holds back the same pictures.

    Returns:
        Sorted int indices of the kept and of the held-back pictures.

    Raises:
        DataError: a class has too few pictures for that.
    """
    from sklearn.model_selection import train_test_split

    try:
        kept, held = train_test_split(
            np.arange(len(labels)), test_size=share, random_state=seed, stratify=labels
        )
    except ValueError as error:
        smallest = int(np.bincount(labels)[np.unique(labels)].min())
        raise DataError(
            f"Cannot hold back {share:.0%} of every class for validation: the smallest class has {smallest} "
            f"of {len(labels)} pictures. Add pictures, change --val-split, or use --val-split 0 for none."
        ) from error
    return np.sort(kept), np.sort(held)


def read(
    config: Config,
    progress: datasets.Progress | None = None,
    reading: datasets.Reading | None = None,
    excluded: Mapping[str, tuple[str, ...]] | None = None,
) -> Parts:
    """The training and validation pictures for some settings; the test pictures stay unread.

    A source with a validation split of its own is taken at its word. Otherwise a stratified share of the
    training pictures is held back, as `config.val_split` and `config.seed` say, after those have gone that
    the fix list `config.exclude` names.

    Args:
        config: the settings.
        progress: told about a download, should one be needed.
        reading: told how far the decoding has come, where that takes a while.
        excluded: for each split, ids to leave out, in place of those in the file that `config.exclude` names.

    Raises:
        DataError: as `datasets.find`, or a fix list that cannot be read or names no picture of these data.
    """
    source = datasets.find(
        config.data, image_size=config.image_size, fit=config.fit, progress=progress, reading=reading
    )
    if excluded is None:
        excluded = fixes.excluded(fixes.read(config.exclude)) if config.exclude else {}
    gone: dict[str, tuple[str, ...]] = {}

    def part(split: datasets.Split) -> datasets.Dataset:
        whole = source.read(split)
        rest = fixes.leave_out(whole, split, excluded)
        if len(rest) < len(whole):
            gone[split] = tuple(sorted(set(whole.ids) - set(rest.ids)))
        return rest

    train = part("train")
    own = part("validation") if "validation" in source.splits else None
    if any(excluded.values()) and not gone:
        first = next(name for ids in excluded.values() for name in ids)
        raise DataError(
            f"{config.exclude} names no picture of {source.location}. Expected the fixes.csv that tenfold "
            f"doctor wrote for these data. Received: {first}, {sum(map(len, excluded.values())):,} in all"
        )
    if own is not None:
        return Parts(source, _learned(train, config), own, "validation split of the data's own", gone)
    if not config.val_split:
        rest = _learned(train, config)
        return Parts(source, rest, None, "none: all training pictures are trained on", gone)
    kept, held = hold_out(train.labels, config.val_split, config.seed)
    origin = (
        f"{config.val_split:.0%} of every class of the training pictures, held back with seed {config.seed}"
    )
    return Parts(source, _learned(train.subset(kept), config), train.subset(held), origin, gone)


def _learned(train: datasets.Dataset, config: Config) -> datasets.Dataset:
    """What is learned from out of the training pictures, with a note of their weights where they have any."""
    rest = thinned(train, config.fraction, config.seed)
    if not config.balance:
        return rest
    weights = balance.class_weights(rest.labels, len(rest.class_names))
    return dataclasses.replace(rest, notes=(*rest.notes, balance.note(weights, rest.class_names)))


def record(parts: Parts, config: Config) -> dict[str, Any]:
    """What `splits.json` holds: counts, hashes, and the ids of the validation and the excluded pictures."""
    entries = {"train": {"count": len(parts.train), "sha256": fingerprint(parts.train)}}
    if parts.validation is not None:
        entries["validation"] = {
            "count": len(parts.validation),
            "sha256": fingerprint(parts.validation),
            "ids": list(parts.validation.ids),
        }
    whole = {"seed": config.seed, "val_split": config.val_split, "origin": parts.origin, "splits": entries}
    # Kept whole, so that the run opens the same pictures whatever becomes of the fix list.
    left_out = {split: list(ids) for split, ids in parts.excluded.items()}
    return {**whole, "excluded": left_out} if left_out else whole


def fingerprint(dataset: datasets.Dataset) -> str:
    """SHA-256 over pictures, labels, class names and ids: the same exactly when the data are."""
    digest = hashlib.sha256(repr((dataset.images.shape, tuple(dataset.class_names))).encode())
    for piece in pieces(dataset.images):
        digest.update(np.ascontiguousarray(piece).data)
    digest.update(np.ascontiguousarray(dataset.labels, dtype=np.int64).data)
    digest.update("\0".join(dataset.ids).encode())
    return digest.hexdigest()


def open_split(run: runs.Run, split: str) -> datasets.Dataset:
    """The training or validation pictures of a run, read again and checked against their recorded hash.

    Raises:
        DataError: the run has no such split, or the data have changed since.
    """
    if split not in run.splits["splits"]:
        raise DataError(
            f"{run.path} has no {split} split ({run.splits['origin']}). Use --split test or --split train."
        )
    parts = _parts(run)
    return _checked(run, split, parts.train if split == "train" else parts.validation)


def read_again(run: runs.Run, reading: datasets.Reading | None = None) -> Parts:
    """The training and validation pictures of a run, checked against their recorded hashes.

    Args:
        run: the run.
        reading: as in `read`.
    """
    parts = _parts(run, reading)
    _checked(run, "train", parts.train)
    if "validation" in run.splits["splits"]:
        _checked(run, "validation", parts.validation)
    return parts


def _parts(run: runs.Run, reading: datasets.Reading | None = None) -> Parts:
    return read(_settings(run), excluded=run.splits.get("excluded", {}), reading=reading)


def _checked(run: runs.Run, split: str, part: datasets.Dataset | None) -> datasets.Dataset:
    entry = run.splits["splits"][split]
    if part is None or fingerprint(part) != entry["sha256"]:
        raise DataError(
            f"The {split} pictures of {run.config.data} are not those {run.path} was trained with. "
            f"Expected {entry['count']:,} pictures with SHA-256 {entry['sha256'][:12]}... "
            "Restore them, or train anew."
        )
    return part


def open_outside(run: runs.Run, source: str) -> tuple[datasets.Dataset, str]:
    """Pictures from elsewhere for a run to be scored on, its classes matched by name.

    Args:
        run: the run.
        source: as in `datasets.find`; its own test split where it has one, else all of it.

    Returns:
        The pictures of the classes that the run knows, brought to its size, and a sentence about them.

    Raises:
        UsageError: it is the run's own data. DataError: as `datasets.find`, or no class in common.
    """
    if source == run.config.data or (
        Path(source).exists() and str(Path(source).resolve()) == run.data["path"]
    ):
        raise UsageError(
            f"{run.path} was trained on these data. Expected: --data of other pictures, or --split test. "
            f"Received: data={source}"
        )
    found = datasets.find(source, image_size=run.data["image_size"], fit=run.config.fit, strict=False)
    wanted: tuple[datasets.Split, ...] = found.splits if found.held_out else ("test",)
    data, names = datasets.joined([found.read(split) for split in wanted]), run.class_names
    numbers = np.array([names.index(name) if name in names else -1 for name in data.class_names])
    labels = numbers[data.labels]
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        raise DataError(
            f"{found.location} shares no class with {run.path}. Expected some of: {', '.join(names)}. "
            f"Received: {', '.join(data.class_names)}"
        )
    rest = data.subset(known)
    matched = dataclasses.replace(rest, labels=labels[known], class_names=names)
    strangers = sorted({data.class_names[label] for label in data.labels[labels < 0]})
    told = f"{len(known):,} pictures of {found.location}{'' if found.held_out else ', its test split'}"
    if strangers:
        told += (
            f"; {len(data) - len(known):,} of classes the run does not know left out: {', '.join(strangers)}"
        )
    return matched, told


def open_test(run: runs.Run, *, views: str = "none") -> tuple[datasets.Dataset, str]:
    """Loads the test pictures of a run's data and writes the look into the run's ledger.

    This is the one place in Tenfold that reads a test split.

    Args:
        run: whose test pictures.
        views: how the model will look at each picture, for the ledger.

    Returns:
        The test pictures, and a sentence that says how often this test set has been looked at.

    Raises:
        DataError: the data have no test pictures, or other classes than the run.
    """
    config = _settings(run)
    source = datasets.find(config.data, image_size=config.image_size, fit=config.fit)
    if "test" not in source.splits:
        raise DataError(f"{config.data} has no test pictures. Its splits: {', '.join(source.splits)}.")
    test = source.read("test")
    if tuple(test.class_names) != run.class_names:
        raise DataError(
            f"The classes of {config.data} have changed since {run.path} was trained. "
            f"Expected: {', '.join(run.class_names)}. Received: {', '.join(test.class_names)}."
        )
    digest = fingerprint(test)
    run.append("ledger.jsonl", {"split": "test", "pictures": len(test), "sha256": digest, "views": views})
    every = [look["sha256"] for other in runs.beside(run) for look in other.looks]
    own = [look["sha256"] for look in run.looks]
    return test, (
        f"Look {own.count(digest)} of this run at this test set of {len(test):,} pictures; "
        f"{every.count(digest)} in all by the runs in {run.path.parent}."
    )


def _settings(run: runs.Run) -> Config:
    """The run's settings, with the picture size and the place of the data found when it was trained.

    A path is taken as the settings have it; where that leads nowhere from here, as it was then.
    """
    config, found = run.config, run.data
    moved = found.get("path") is not None and not Path(config.data).exists()
    data = found["path"] if moved else config.data
    return dataclasses.replace(config, image_size=found["image_size"], data=data)
