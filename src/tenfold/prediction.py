"""Pictures in, labelled probabilities out: the one way from a run folder to answers.

A `Predictor` loads a run's model once. Files are decoded and brought to the size the model was trained
on by the same code that prepared the training pictures, so that the answers cannot drift from it.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tenfold import images, layers, models, runs, splits
from tenfold.datasets import Split
from tenfold.errors import DataError, UsageError, unknown
from tenfold.evaluation import Evaluation, evaluate

_BATCH = 256
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Prediction:
    """What a model says about one picture.

    Attributes:
        path: the picture's file.
        label: the most probable class.
        confidence: its probability, 0 to 1.
        top: the most probable classes and their probabilities, highest first.
    """

    path: Path
    label: str
    confidence: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Failure:
    """A path that gave no prediction.

    Attributes:
        path: the file, folder or pattern, as it was given or found.
        reason: a sentence that names the path and says what is wrong with it.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class _Picture:
    path: Path
    pixels: np.ndarray  # uint8 (size, size, 3)


class Predictor:
    """A run's model, loaded once, ready for any number of pictures.

    Args:
        run: a run, or the path of its folder.

    Raises:
        UsageError: there is no run at that path.
        DataError: the run folder holds no model that can be read.

    Example:
        predictor = Predictor("runs/fast")
        for item in predictor.files(["holiday/"]):
            print(item)
    """

    def __init__(self, run: runs.Run | str | Path):
        self.run = run if isinstance(run, runs.Run) else runs.open_run(run)
        self.class_names = self.run.class_names
        self._config = self.run.config
        self._size: int = self.run.data["image_size"]
        model = models.load(self.run.model_path)
        # The file is in the portable form; the layout that trains fastest also predicts fastest.
        layout = layers.training_format()
        if layout != "channels_last":
            options = self._config.model_options
            model = models.twin(model, self._config.model, data_format=layout, options=options)
        self._predict = models.predict_fn(model)

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Class probabilities of pictures in memory.

        Args:
            pictures: uint8, (n, size, size, 3), RGB, of the size the run was trained on.

        Returns:
            float32, (n, classes); each row sums to 1.

        Raises:
            UsageError: another type or shape.
        """
        expected = (self._size, self._size, 3)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected:
            raise UsageError(
                f"Pictures must be uint8 of shape (n, {', '.join(map(str, expected))}). "
                f"Received: {pictures.dtype} of shape {pictures.shape}. Use files() for pictures of any size."
            )
        if not len(pictures):
            return np.empty((0, len(self.class_names)), np.float32)
        return self._predict(pictures)

    def files(self, paths: Iterable[str | Path], *, top: int = 3) -> Iterator[Prediction | Failure]:
        """Predictions for picture files, in the order in which they are found.

        Folders are searched to any depth, hidden files left out; patterns such as `photos/*.jpg` are
        expanded; a file that is reached twice counts once. What cannot be used becomes a `Failure`.

        Args:
            paths: files, folders and patterns.
            top: how many classes each prediction lists, 1 or more.
        """
        if top < 1:
            raise UsageError(f"topk must be 1 or more. Received: topk={top}")
        return self._files(find(paths), top)

    def _files(self, found: Iterator[Path | Failure], top: int) -> Iterator[Prediction | Failure]:
        with ThreadPoolExecutor(_THREADS) as pool:
            # One batch is decoded while the model works on the one before it.
            decoding: list[Future[_Picture | Failure]] = []
            for batch in iter(lambda: list(islice(found, _BATCH)), []):
                ready, decoding = decoding, [pool.submit(self._read, item) for item in batch]
                yield from self._answer([future.result() for future in ready], top)
            yield from self._answer([future.result() for future in decoding], top)

    def _read(self, item: Path | Failure) -> "_Picture | Failure":
        if isinstance(item, Failure):
            return item
        try:
            return _Picture(item, images.read(item, self._size, self._config.fit))
        except DataError as error:
            return Failure(item, str(error))

    def _answer(self, items: list["_Picture | Failure"], top: int) -> Iterator[Prediction | Failure]:
        pictures = [item.pixels for item in items if isinstance(item, _Picture)]
        rows = iter(self.predict(np.stack(pictures)) if pictures else ())
        for item in items:
            yield item if isinstance(item, Failure) else self._prediction(item.path, next(rows), top)

    def _prediction(self, path: Path, probabilities: np.ndarray, top: int) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.class_names[i], float(probabilities[i])) for i in best)
        return Prediction(path, ranked[0][0], ranked[0][1], ranked)

    def evaluate(
        self, split: Split = "validation", *, top_k: Iterable[int] = (1, 3, 5)
    ) -> tuple[Evaluation, str | None]:
        """Scores the model on a split of the run's own data and keeps the result in the run folder.

        Args:
            split: "validation", "train" or "test". The test split is read by this call alone, and every
                such look is written to the run's ledger.
            top_k: also count the pictures whose true class is among the k most probable.

        Returns:
            The evaluation, and for the test split a sentence that says how often it has been looked at.

        Raises:
            UsageError: the run has no such split.
            DataError: the data are gone or have changed since the run was trained.
        """
        looks: str | None = None
        if split == "test":
            dataset, looks = splits.open_test(self.run)
        elif split in ("validation", "train"):
            if split not in self.run.splits["splits"]:
                raise UsageError(
                    f"{self.run.path} was trained on all pictures and has no validation split. "
                    "Use --split test or --split train."
                )
            dataset = splits.open_split(self.run, split)
        else:
            raise UsageError(unknown("split", split, ["train", "validation", "test"]))
        evaluation = evaluate(self.predict, dataset, split=split, top_k=top_k)
        self.run.save_evaluation(split, evaluation.to_dict(), evaluation.predictions(), dataset.images)
        return evaluation, looks


def find(paths: Iterable[str | Path]) -> Iterator[Path | Failure]:
    """Every picture file that the paths stand for, each once, in order.

    Args:
        paths: files (taken whatever their suffix), folders (searched for the suffixes of pictures,
            sorted, hidden names left out) and patterns (expanded as a shell would).
    """
    seen: set[str] = set()
    for item in _expand(paths):
        key = os.path.abspath(item.path if isinstance(item, Failure) else item)
        if key not in seen:
            seen.add(key)
            yield item


def _expand(paths: Iterable[str | Path]) -> Iterator[Path | Failure]:
    for given in paths:
        path = Path(given)
        if path.exists():
            yield from _walk(path)
        elif glob.has_magic(str(given)):
            matches = sorted(glob.glob(str(given), recursive=True))
            if not matches:
                yield Failure(path, f"{path} matches no file. Expected a file, a folder or a pattern.")
            for match in matches:
                yield from _walk(Path(match))
        else:
            yield Failure(path, f"{path} does not exist. Expected a file, a folder or a pattern.")


def _walk(path: Path) -> Iterator[Path | Failure]:
    if not path.is_dir():
        yield path
        return
    empty = True
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in images.PICTURE_SUFFIXES:
                empty = False
                yield Path(folder, name)
    if empty:
        suffixes = " ".join(sorted(images.PICTURE_SUFFIXES))
        yield Failure(path, f"{path} holds no pictures. Expected files that end in one of: {suffixes}")
