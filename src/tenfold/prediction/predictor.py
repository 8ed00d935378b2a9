"""Pictures in, labelled probabilities out: the one way from a run folder to answers.

A `Predictor` opens a run's model once, as an exported file on the fastest engine of this machine, or in
Keras where there is none. Files are decoded and brought to the size the model was trained on by the same
code that prepared the training pictures, so that the answers cannot drift from it. With an exported file at
hand neither Keras nor torch is imported.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tenfold import images, runs, splits
from tenfold.abstention import NOT_SURE, answered, doubt, familiarity, threshold
from tenfold.datasets import Dataset, Split
from tenfold.errors import DataError, UsageError, unknown
from tenfold.evaluation import Evaluation, evaluate
from tenfold.paths import Failure, find
from tenfold.prediction.answerer import Answerer, answerer
from tenfold.selection import Precision
from tenfold.validation import sure_enough, validate
from tenfold.views import apply, mean, view_set

_BATCH = 256
_THREADS = min(8, os.cpu_count() or 1)


Closer = Callable[[Evaluation, Dataset], None]


@dataclass(frozen=True)
class Prediction:
    """What a model says about one picture.

    Attributes:
        path: the picture's file.
        label: the most probable class, or `abstention.NOT_SURE` where the answer is withheld.
        confidence: the probability of the most probable class, 0 to 1.
        top: the most probable classes and their probabilities, highest first.
        doubt: why the answer is withheld; empty where it is given.
        familiarity: how like the pictures of its class it is, -1 to 1; None where the run cannot tell.
    """

    path: Path
    label: str
    confidence: float
    top: tuple[tuple[str, float], ...]
    doubt: str = ""
    familiarity: float | None = None


@dataclass(frozen=True)
class _Picture:
    path: Path
    pixels: np.ndarray  # uint8 (size, size, 3)


class Predictor:
    """A run's model, loaded once, ready for any number of pictures.

    The first Predictor of a run writes `exports/model.onnx` and measures the engines, some ten seconds; later
    ones start in less than one. Where the engines are not installed, Keras answers and `reason` says so.

    Args:
        run: a run, or the path of its folder.
        engine: "openvino", "onnxruntime", "keras", or "auto" for the fastest.
        precision: "float32", "int8" where it may cost some right answers, or "auto" for float32 or bfloat16,
            whichever is faster while its answers stay within `selection.BOUNDS` of float32. The first time,
            int8 reads the pictures the run was trained with.
        max_error: wanted share of wrong answers among those that `files` gives, 0 to 1, by the run's
            validation pictures; the others are withheld, and so are those of pictures that are less like the
            pictures of their class than nearly all of validation. None answers everything.

    Attributes:
        run: the run.
        class_names: in the order of the probabilities.
        engine: the engine that answers.
        precision: what it computes in: "float32", "bfloat16" or "int8".
        reason: a sentence that says why this one.
        threshold: the confidence below which `files` withholds answers; None without `max_error`.

    Raises:
        UsageError: there is no run at that path, or no such engine or precision, or Keras is asked for int8,
            or `max_error` is no share.
        MissingExtraError: the engine asked for is not installed, or int8 is asked for and none is.
        GateError: the answers of the engine or of the precision asked for differ from the model's, or no
            confidence leaves as few wrong answers as `max_error`.
        DataError: the run folder holds no model that can be read, or the pictures for int8 are gone, or there
            are no validation predictions to choose a threshold on.

    Example:
        predictor = Predictor("runs/fast")
        for item in predictor.files(["holiday/"]):
            print(item)
    """

    def __init__(
        self,
        run: runs.Run | str | Path,
        *,
        engine: str = "auto",
        precision: Precision = "auto",
        max_error: float | None = None,
    ):
        self.run = run if isinstance(run, runs.Run) else runs.open_run(run)
        self.class_names = self.run.class_names
        self._known = familiarity(self.run.calibration)
        self._size: int = self.run.data["image_size"]
        self._fit = self.run.config.fit
        self._wanted = engine
        self._opened: dict[str, Answerer] = {}
        self.threshold = None if max_error is None else sure_enough(self.run, max_error)
        self._main = self._answerer(precision)
        self.engine, self.precision, self.reason = self._main.engine, self._main.precision, self._main.reason

    def _answerer(self, precision: Precision) -> Answerer:
        if precision not in self._opened:
            self._opened[precision] = answerer(self.run, self._wanted, precision)
        return self._opened[precision]

    def _strange(self, familiar: Any) -> Any:
        """Whether pictures of these familiarities are unlike those the model knows."""
        return familiar < self._known.least if self._known else np.zeros_like(familiar, bool)

    def predict(self, pictures: np.ndarray, *, views: str = "none") -> np.ndarray:
        """Class probabilities of pictures in memory.

        Args:
            pictures: uint8, (n, size, size, 3), RGB, of the size the run was trained on.
            views: answer with the mean over these views of each picture: a key of `views.VIEWS`.

        Returns:
            float32, (n, classes); each row sums to 1.

        Raises:
            UsageError: another type or shape, or there are no such views.
        """
        expected = (self._size, self._size, 3)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected:
            raise UsageError(
                f"Pictures must be uint8 of shape (n, {', '.join(map(str, expected))}). "
                f"Received: {pictures.dtype} of shape {pictures.shape}. Use files() for pictures of any size."
            )
        if not len(pictures):
            return np.empty((0, len(self.class_names)), np.float32)
        return self._observe(pictures, views)[0]

    def _observe(self, pictures: np.ndarray, views: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Probabilities by the mean of the views, and the familiarity of the plain pictures."""
        looks = [self._main.observe(apply(pictures, view)) for view in view_set(views)]
        answers = [answer for answer, _ in looks]
        return answers[0] if len(looks) == 1 else mean(answers, view_set(views)), looks[0][1]

    def files(
        self, paths: Iterable[str | Path], *, top: int = 3, views: str = "none"
    ) -> Iterator[Prediction | Failure]:
        """Predictions for picture files, in the order in which they are found.

        Folders are searched to any depth, hidden files left out; patterns such as `photos/*.jpg` are
        expanded; a file that is reached twice counts once. What cannot be used becomes a `Failure`.

        Args:
            paths: files, folders and patterns.
            top: how many classes each prediction lists, 1 or more.
            views: as for `predict`.
        """
        if top < 1:
            raise UsageError(f"topk must be 1 or more. Received: topk={top}")
        view_set(views)  # a wrong name is told here, before the first picture
        return self._files(find(paths), top, views)

    def _files(self, found: Iterator[Path | Failure], top: int, views: str) -> Iterator[Prediction | Failure]:
        with ThreadPoolExecutor(_THREADS) as pool:
            # One batch is decoded while the model works on the one before it.
            decoding: list[Future[_Picture | Failure]] = []
            for batch in iter(lambda: list(islice(found, _BATCH)), []):
                ready, decoding = decoding, [pool.submit(self._read, item) for item in batch]
                yield from self._answer([future.result() for future in ready], top, views)
            yield from self._answer([future.result() for future in decoding], top, views)

    def _read(self, item: Path | Failure) -> "_Picture | Failure":
        if isinstance(item, Failure):
            return item
        try:
            return _Picture(item, images.read(item, self._size, self._fit))
        except DataError as error:
            return Failure(item, str(error))

    def _answer(
        self, items: list["_Picture | Failure"], top: int, views: str
    ) -> Iterator[Prediction | Failure]:
        pictures = [item.pixels for item in items if isinstance(item, _Picture)]
        rows: Iterator[tuple[np.ndarray, float | None]] = iter(())
        if pictures:
            answers, familiar = self._observe(np.stack(pictures), views)
            rows = zip(answers, [None] * len(answers) if familiar is None else familiar, strict=True)
        for item in items:
            yield item if isinstance(item, Failure) else self._prediction(item.path, *next(rows), top)

    def _prediction(
        self, path: Path, probabilities: np.ndarray, familiar: float | None, top: int
    ) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.class_names[i], float(probabilities[i])) for i in best)
        label, confidence = ranked[0]
        familiar = None if familiar is None else float(familiar)
        sure_from = None if self.threshold is None else self.threshold.confidence
        familiar_from = None if self._known is None else self._known.least
        why = doubt(confidence, familiar, sure_from, familiar_from)
        return Prediction(path, NOT_SURE if why else label, confidence, ranked, why, familiar)

    def _calibrate(self, dataset: Dataset) -> None:
        """Calibrates a run of before there was calibration, and opens its model anew."""
        from tenfold import models

        found = validate(self.run, models.observe_fn(models.load(self.run.model_path)), dataset)
        if self.threshold is not None:
            self.threshold = threshold(found.probabilities, found.labels, self.threshold.max_error)
        self._known = familiarity(self.run.calibration)
        self._opened.clear()

    def evaluate(
        self,
        split: Split | Literal["outside"] = "validation",
        *,
        data: str | None = None,
        top_k: Iterable[int] = (1, 3, 5),
        views: str = "none",
        precision: Precision = "float32",
        also: Closer = lambda evaluation, dataset: None,
    ) -> tuple[Evaluation, str | None]:
        """Scores the model on a split of the run's own data and keeps the result in the run folder.

        Where validation pictures are scored and the run has no calibration yet, it gets one first.

        Args:
            split: "validation", "train" or "test". The test split is read by this call alone, and every
                such look is written to the run's ledger.
            data: score on pictures from elsewhere in place of a split of the run's own: any source that
                `datasets.find` takes. The result is kept as that of the split "outside".
            top_k: also count the pictures whose true class is among the k most probable.
            views: also score the mean over these views of each picture; the plain scores stay the main
                ones, and one look at the test pictures gives both.
            precision: float32 gives the same score on every machine; "auto" may be faster, and off by the
                few pictures on which bfloat16 decides otherwise; "int8" scores what int8 answers.
            also: called at the end with the evaluation and the pictures, so that one look at test pictures
                serves all that is asked of them.

        Returns:
            The evaluation; and for the test split a sentence that says how often it has been looked at, for
            pictures from elsewhere one that says what they are.

        Raises:
            UsageError: the run has no such split, or there are no such views.
            DataError: the data are gone or have changed since the run was trained.
        """
        # A wrong name, or an engine that does not open, costs no look at the test pictures.
        view_set(views)
        answerer = self._answerer(precision)
        looks: str | None = None
        if data is not None:
            split = "outside"
            dataset, looks = splits.open_outside(self.run, data)
        elif split == "test":
            dataset, looks = splits.open_test(self.run, views=views)
        elif split in ("validation", "train"):
            if split not in self.run.splits["splits"]:
                raise UsageError(
                    f"{self.run.path} was trained on all pictures and has no validation split. "
                    "Use --split test or --split train."
                )
            dataset = splits.open_split(self.run, split)
        else:
            raise UsageError(unknown("split", split, ["train", "validation", "test"]))
        if split == "validation" and self.run.calibration is None:
            self._calibrate(dataset)
            answerer = self._answerer(precision)
        seen: list[np.ndarray] = []  # familiarity, of the plain pictures first

        def predict(pictures: np.ndarray) -> np.ndarray:
            probabilities, familiar = answerer.observe(pictures)
            if familiar is not None:
                seen.append(familiar)
            return probabilities

        evaluation = evaluate(predict, dataset, split=split, top_k=top_k, views=views)
        if self.threshold is not None:
            strange = self._strange(np.concatenate(seen)[: len(dataset)]) if seen else None
            told = answered(evaluation.probabilities, evaluation.labels, self.threshold, strange)
            evaluation = dataclasses.replace(evaluation, answered=told)
        scores = {**evaluation.to_dict(), "engine": answerer.engine, "precision": answerer.precision}
        if data is not None:
            scores |= {"data": data, "told": looks}
        self.run.save_evaluation(split, scores, evaluation.predictions(), dataset.images)
        also(evaluation, dataset)
        return evaluation, looks
