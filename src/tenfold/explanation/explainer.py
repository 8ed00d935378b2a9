"""Why a run's model answers as it does about single pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import images, models, runs, splits
from tenfold.calibration import calibrator
from tenfold.datasets import Dataset
from tenfold.errors import DataError, UsageError, unknown
from tenfold.explanation import features
from tenfold.explanation.anatomy import Anatomy
from tenfold.explanation.heat import Method, heat_maps
from tenfold.explanation.overview import Overview, look
from tenfold.occlusion import mean_colour, occlusion
from tenfold.paths import Failure, find
from tenfold.views import PredictFn

_BATCH = 32
_COVERED = 0.25  # of a picture's pixels


@dataclass(frozen=True)
class Neighbour:
    """A training picture that the model finds similar.

    Attributes:
        id: its name in the data set.
        label: its true class.
        similarity: cosine between its features and the explained picture's, up to 1.
        image: uint8 (h, w, 3).
    """

    id: str
    label: str
    similarity: float
    image: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Explanation:
    """Why a model answers as it does about one picture.

    Attributes:
        path: the picture's file or name.
        label: the most probable class.
        confidence: its probability, 0 to 1.
        top: the most probable classes and their probabilities, highest first.
        explained: the class whose evidence `heat` shows, and its probability.
        method: how `heat` was made, a name of `heat.Method`.
        image: uint8 (h, w, 3), the picture as the model sees it.
        heat: float32 (h, w), 0 to 1: what speaks for the explained class. Relative to the picture itself.
        covered: the probability of the explained class when the hottest quarter of the picture is covered
            with its mean colour, and when the coolest quarter is. A heat map that points right takes much
            away by the first and little by the second.
        nearest: training pictures with similar features, nearest first; empty where the data are gone.
    """

    path: Path
    label: str
    confidence: float
    top: tuple[tuple[str, float], ...]
    explained: tuple[str, float]
    method: str
    image: np.ndarray = field(repr=False)
    heat: np.ndarray = field(repr=False)
    covered: tuple[float, float]
    nearest: tuple[Neighbour, ...]

    def to_dict(self) -> dict[str, Any]:
        """All but the pixels, for JSON."""
        return {
            "path": str(self.path),
            "label": self.label,
            "confidence": round(self.confidence, 6),
            "top": [{"label": name, "probability": round(share, 6)} for name, share in self.top],
            "explained": {"label": self.explained[0], "probability": round(self.explained[1], 6)},
            "method": self.method,
            "hottest_quarter_covered": round(self.covered[0], 6),
            "coolest_quarter_covered": round(self.covered[1], 6),
            "nearest": [
                {"id": item.id, "label": item.label, "similarity": round(item.similarity, 4)}
                for item in self.nearest
            ],
        }


class Explainer:
    """A run's model, opened once to explain any number of pictures.

    Args:
        run: a run, or the path of its folder.
        predict_fn: what gives the probabilities, for example a Predictor's `predict`; the model with the
            run's calibration when None. Occlusion asks it alone.
        tell: called with a sentence before something that takes a minute, and about what is left out.

    Attributes:
        run: the run.
        class_names: in the order of the probabilities.

    Raises:
        UsageError: there is no run at that path.
        DataError: the run folder holds no model that can be read.

    Example:
        explainer = Explainer("runs/fast")
        for item in explainer.files(["holiday/"]):
            print(item)
    """

    def __init__(
        self,
        run: runs.Run | str | Path,
        *,
        predict_fn: PredictFn | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
    ):
        self.run = run if isinstance(run, runs.Run) else runs.open_run(run)
        self.class_names = self.run.class_names
        self._size: int = self.run.data["image_size"]
        self._tell = tell
        config = self.run.config
        model = models.load_fast(self.run.model_path, config.model, config.model_options)
        self._anatomy = Anatomy(model, (self._size, self._size, 3))
        calibrate = calibrator(self.run.calibration)
        self._predict = predict_fn or (lambda pictures: calibrate(self._anatomy.forward(pictures)[0]))

    @cached_property
    def _training(self) -> tuple[Dataset, np.ndarray] | None:
        """The training pictures and their features, or None where the data are gone."""
        try:
            train = splits.open_split(self.run, "train")
        except DataError as error:
            self._tell(f"Nearest training pictures are left out. {error}")
            return None
        if features.cached(self.run, train) is None:
            self._tell(f"Computing the features of {len(train):,} training pictures, once for this run.")
        return train, features.of_training(self.run, self._anatomy, train)

    def explain(
        self,
        pictures: np.ndarray,
        names: Sequence[str | Path],
        *,
        method: Method | None = None,
        label: str | None = None,
        top: int = 5,
        nearest: int = 8,
    ) -> list[Explanation]:
        """Explains pictures in memory.

        Args:
            pictures: uint8 (n, size, size, 3), RGB, of the size the run was trained on.
            names: n names or paths, for the record.
            method: a name of `heat.Method`; when None "layercam", or "occlusion" for a model without
                convolutions.
            label: the class whose evidence to show; each picture's most probable one when None.
            top: how many classes to list, 1 or more.
            nearest: how many training pictures to find, 0 or more.

        Raises:
            UsageError: no such class, method or number; another type or shape.
        """
        if label is not None and label not in self.class_names:
            raise UsageError(unknown("class", label, self.class_names))
        if top < 1:
            raise UsageError(f"topk must be 1 or more. Received: topk={top}")
        if nearest < 0:
            raise UsageError(f"nearest must be 0 or more. Received: nearest={nearest}")
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (self._size, self._size, 3):
            raise UsageError(
                f"Pictures must be uint8 of shape (n, {self._size}, {self._size}, 3). "
                f"Received: {pictures.dtype} of shape {pictures.shape}. Use files() for pictures of any size."
            )
        if not len(pictures):
            return []
        method = method or ("layercam" if self._anatomy.stages else "occlusion")
        probabilities = self._predict(pictures)
        every = np.arange(len(pictures))
        classes = probabilities.argmax(axis=1)
        if label is not None:
            classes = np.full(len(pictures), self.class_names.index(label))
        if method == "occlusion":
            heat = occlusion(self._predict, pictures, classes)
        else:
            heat = heat_maps(self._anatomy, pictures, classes, method=method)
        covered = [self._predict(_cover(pictures, side))[every, classes] for side in (heat, -heat)]
        neighbours = self._neighbours(pictures, nearest)
        found = []
        for row, (name, answer) in enumerate(zip(names, probabilities, strict=True)):
            best = np.argsort(-answer, kind="stable")[:top]
            ranked = tuple((self.class_names[i], float(answer[i])) for i in best)
            found.append(
                Explanation(
                    path=Path(name),
                    label=ranked[0][0],
                    confidence=ranked[0][1],
                    top=ranked,
                    explained=(self.class_names[classes[row]], float(answer[classes[row]])),
                    method=method,
                    image=pictures[row],
                    heat=heat[row],
                    covered=(float(covered[0][row]), float(covered[1][row])),
                    nearest=neighbours[row],
                )
            )
        return found

    def files(self, paths: Iterable[str | Path], **options: Any) -> Iterator[Explanation | Failure]:
        """Explains picture files, found and decoded as `Predictor.files` does; `options` as for `explain`."""
        found = find(paths)
        for batch in iter(lambda: list(islice(found, _BATCH)), []):
            read = [self._read(item) for item in batch]
            good = [item for item in read if not isinstance(item, Failure)]
            explained: Iterator[Explanation] = iter(())
            if good:
                names, pictures = zip(*good, strict=True)
                explained = iter(self.explain(np.stack(pictures), names, **options))
            yield from (item if isinstance(item, Failure) else next(explained) for item in read)

    def _read(self, item: Path | Failure) -> tuple[Path, np.ndarray] | Failure:
        if isinstance(item, Failure):
            return item
        try:
            return item, images.read(item, self._size, self.run.config.fit)
        except DataError as error:
            return Failure(item, str(error))

    def _neighbours(self, pictures: np.ndarray, count: int) -> list[tuple[Neighbour, ...]]:
        if not count or self._training is None:
            return [()] * len(pictures)
        train, known = self._training
        rows, cosines = features.nearest(known, features.unit(self._anatomy.forward(pictures)[1]), count)
        return [
            tuple(
                Neighbour(train.ids[i], train.class_names[train.labels[i]], float(cosine), train.images[i])
                for i, cosine in zip(own, likeness, strict=True)
            )
            for own, likeness in zip(rows, cosines, strict=True)
        ]

    def overview(self, seed: int = 0) -> Overview:
        """What the model has learned, see `overview.look`."""
        return look(self.run, self._anatomy, seed)


def _cover(pictures: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The pictures with the hottest quarter of their pixels in their mean colour."""
    count = round(_COVERED * heat[0].size)
    hottest = np.argsort(-heat.reshape(len(heat), -1), axis=1, kind="stable")[:, :count]
    covered = pictures.copy()
    for picture, places in zip(covered, hottest, strict=True):
        picture.reshape(-1, picture.shape[-1])[places] = mean_colour(picture)
    return covered
