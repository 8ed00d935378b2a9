"""Pictures in, labelled probabilities out: the one way from a run folder to answers.

A `Predictor` opens a run's model once, as an exported file on the fastest engine of this machine, or in
Keras where there is none. Files are decoded and brought to the size the model was trained on by the same
code that prepared the training pictures, so that the answers cannot drift from it. With an exported file at
hand neither Keras nor torch is imported.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np

from tenfold import engines, images, runs, selection, splits
from tenfold.datasets import Split
from tenfold.errors import DataError, TenfoldError, UsageError, unknown
from tenfold.evaluation import Evaluation, evaluate
from tenfold.paths import Failure, find
from tenfold.selection import Precision
from tenfold.views import PredictFn, averaged, view_set

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
class _Picture:
    path: Path
    pixels: np.ndarray  # uint8 (size, size, 3)


@dataclass(frozen=True)
class _Answerer:
    """What computes the answers.

    Attributes:
        engine: "openvino", "onnxruntime" or "keras".
        precision: "float32", "bfloat16" or "int8".
        reason: a sentence that says why this one.
        predict: uint8 (n, h, w, 3) to float32 (n, classes), n from 1.
    """

    engine: str
    precision: str
    reason: str
    predict: PredictFn = field(repr=False)


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

    Attributes:
        run: the run.
        class_names: in the order of the probabilities.
        engine: the engine that answers.
        precision: what it computes in: "float32", "bfloat16" or "int8".
        reason: a sentence that says why this one.

    Raises:
        UsageError: there is no run at that path, or no such engine or precision, or Keras is asked for int8.
        MissingExtraError: the engine asked for is not installed, or int8 is asked for and none is.
        GateError: the answers of the engine or of the precision asked for differ from the model's.
        DataError: the run folder holds no model that can be read, or the pictures for int8 are gone.

    Example:
        predictor = Predictor("runs/fast")
        for item in predictor.files(["holiday/"]):
            print(item)
    """

    def __init__(self, run: runs.Run | str | Path, *, engine: str = "auto", precision: Precision = "auto"):
        if engine not in ("auto", "keras", *engines.ENGINES):
            raise UsageError(unknown("engine", engine, ("auto", "keras", *engines.ENGINES)))
        self.run = run if isinstance(run, runs.Run) else runs.open_run(run)
        self.class_names = self.run.class_names
        self._config = self.run.config
        self._size: int = self.run.data["image_size"]
        self._wanted = engine
        self._opened: dict[str, _Answerer] = {}
        main = self._answerer(precision)
        self.engine, self.precision, self.reason = main.engine, main.precision, main.reason
        self._predict = main.predict

    def _answerer(self, precision: Precision) -> _Answerer:
        if precision not in get_args(Precision):
            raise UsageError(unknown("precision", precision, get_args(Precision)))
        if precision not in self._opened:
            self._opened[precision] = self._choose(precision)
        return self._opened[precision]

    def _choose(self, precision: Precision) -> _Answerer:
        if self._wanted == "keras":
            if precision == "int8":
                raise UsageError(
                    "Keras does not answer in int8. Expected: --engine auto, openvino or onnxruntime. "
                    "Received: engine=keras, precision=int8"
                )
            return self._keras("Keras, as asked for.")
        try:
            int8 = self._exported("int8") if precision == "int8" else None
            path = self._exported()
            found = selection.choose(
                path,
                engines.sample(self.run),
                engine=self._wanted,
                precision=precision,
                int8=int8,
                run=self.run,
            )
            opened = engines.open_file(int8 or path, found.engine, found.precision)
        except DataError:  # Keras could not read it either
            raise
        except TenfoldError as error:
            if self._wanted != "auto" or precision == "int8":
                raise
            return self._keras(f"Keras, as no engine can be used. {error}")
        reason = (
            f"{found.engine} in {found.precision}, {found.images_per_second:,.0f} images/s when measured, "
            f"probabilities within {found.difference:.1g} of float32"
            f"{f', the same class for {found.agreement:.1%}' if int8 else ''}."
        )
        return _Answerer(found.engine, found.precision, reason, opened)

    def _exported(self, precision: str = "float32") -> Path:
        """The run's ONNX file, written anew where there is none of this very model."""
        name = "model.onnx" if precision == "float32" else f"model-{precision}.onnx"
        path = self.run.path / "exports" / name
        try:
            fresh = engines.metadata(path).get("source_sha256") == engines.digest(self.run.model_path)
        except DataError:  # none, or damaged
            fresh = False
        if not fresh:
            from tenfold import exporting

            exporting.export(self.run, precision=precision)
        return path

    def _keras(self, reason: str) -> _Answerer:
        from tenfold import layers, models

        model = models.load(self.run.model_path)
        # The file is in the portable form; the layout that trains fastest also predicts fastest.
        layout = layers.training_format()
        if layout != "channels_last":
            options = self._config.model_options
            model = models.twin(model, self._config.model, data_format=layout, options=options)
        return _Answerer("keras", "float32", reason, models.predict_fn(model))

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
        return averaged(self._predict, views)(pictures)

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
            return _Picture(item, images.read(item, self._size, self._config.fit))
        except DataError as error:
            return Failure(item, str(error))

    def _answer(
        self, items: list["_Picture | Failure"], top: int, views: str
    ) -> Iterator[Prediction | Failure]:
        pictures = [item.pixels for item in items if isinstance(item, _Picture)]
        rows = iter(self.predict(np.stack(pictures), views=views) if pictures else ())
        for item in items:
            yield item if isinstance(item, Failure) else self._prediction(item.path, next(rows), top)

    def _prediction(self, path: Path, probabilities: np.ndarray, top: int) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.class_names[i], float(probabilities[i])) for i in best)
        return Prediction(path, ranked[0][0], ranked[0][1], ranked)

    def evaluate(
        self,
        split: Split = "validation",
        *,
        top_k: Iterable[int] = (1, 3, 5),
        views: str = "none",
        precision: Precision = "float32",
    ) -> tuple[Evaluation, str | None]:
        """Scores the model on a split of the run's own data and keeps the result in the run folder.

        Args:
            split: "validation", "train" or "test". The test split is read by this call alone, and every
                such look is written to the run's ledger.
            top_k: also count the pictures whose true class is among the k most probable.
            views: also score the mean over these views of each picture; the plain scores stay the main
                ones, and one look at the test pictures gives both.
            precision: float32 gives the same score on every machine; "auto" may be faster, and off by the
                few pictures on which bfloat16 decides otherwise; "int8" scores what int8 answers.

        Returns:
            The evaluation, and for the test split a sentence that says how often it has been looked at.

        Raises:
            UsageError: the run has no such split, or there are no such views.
            DataError: the data are gone or have changed since the run was trained.
        """
        # A wrong name, or an engine that does not open, costs no look at the test pictures.
        view_set(views)
        answerer = self._answerer(precision)
        looks: str | None = None
        if split == "test":
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
        evaluation = evaluate(answerer.predict, dataset, split=split, top_k=top_k, views=views)
        scores = {**evaluation.to_dict(), "engine": answerer.engine, "precision": answerer.precision}
        self.run.save_evaluation(split, scores, evaluation.predictions(), dataset.images)
        return evaluation, looks
