"""What a model has learned, without a question asked: filters, feature maps, a map of the features."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tenfold import runs, splits
from tenfold.errors import DataError
from tenfold.explanation import features
from tenfold.explanation.anatomy import Anatomy

_POINTS = 2000
_SHOWN = 4  # pictures whose feature maps are shown
_CHANNELS = 8  # feature maps of a stage


@dataclass(frozen=True)
class Overview:
    """What a model has learned, without a question asked.

    Attributes:
        class_names: the c classes.
        split: where the pictures come from.
        filters: float32 (n, rows, columns, 3), 0 to 1, the first convolution's kernels, see
            `features.filters`; None where there is none.
        images: uint8 (m, h, w, 3), a few pictures of different classes.
        maps: for each resolution of the model, what it makes of `images`: float32
            (m, rows, columns, up to 8), the channels that differ most.
        points: float32 (p, 2), up to 2,000 pictures where `features.flat_map` puts them; p is 0 where the
            data are gone.
        labels, predicted: int (p,), true and predicted classes of the points.
        ids: p names.
        notes: sentences about what is missing and why.
    """

    class_names: tuple[str, ...]
    split: str
    filters: np.ndarray | None = field(repr=False)
    images: np.ndarray = field(repr=False)
    maps: tuple[np.ndarray, ...] = field(repr=False)
    points: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The map of the features and the first filters, for JSON."""
        return {
            "class_names": list(self.class_names),
            "split": self.split,
            "filters": None if self.filters is None else self.filters.round(4).tolist(),
            "maps": [list(item.shape[1:3]) for item in self.maps],
            "points": self.points.round(3).tolist(),
            "labels": self.labels.tolist(),
            "predicted": self.predicted.tolist(),
            "ids": list(self.ids),
            "notes": list(self.notes),
        }


def look(run: runs.Run, anatomy: Anatomy, seed: int = 0) -> Overview:
    """What a run's model has learned: first filters, feature maps, and a map of the features.

    The pictures are the validation pictures, of a run without any the training pictures. Where the data
    are gone, the feature maps are of pictures that the run kept, and there is no map.

    Args:
        run: whose data and names to take.
        anatomy: its model.
        seed: the same seed takes the same pictures and draws the same map.
    """
    size = run.data["image_size"]
    split = "validation" if "validation" in run.splits["splits"] else "train"
    notes: tuple[str, ...] = ()
    try:
        data = splits.open_split(run, split)
        rows = np.random.default_rng(seed).permutation(len(data))[:_POINTS]
        pictures, labels, ids = data.images[rows], data.labels[rows], tuple(data.ids[i] for i in rows)
    except DataError as error:
        notes = (f"The map of the features is left out. {error}",)
        kept = run.gallery(split)
        pictures = np.zeros((0, size, size, 3), np.uint8) if kept is None else kept[0]
        labels, ids = np.zeros(0, np.int64), ()
    shown = pictures[_of_each(labels, _SHOWN)] if len(labels) else pictures[:_SHOWN]
    points, predicted = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
    if len(labels):
        probabilities, found = anatomy.forward(pictures)
        points, predicted = features.flat_map(features.unit(found), seed), probabilities.argmax(axis=1)
    first = anatomy.filters
    return Overview(
        class_names=run.class_names,
        split=split,
        filters=None if first is None else features.filters(first),
        images=shown,
        maps=tuple(_liveliest(item) for item in anatomy.maps(shown)) if len(shown) else (),
        points=points,
        labels=labels,
        predicted=predicted,
        ids=ids,
        notes=notes,
    )


def _of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Rows of `count` pictures, of as many classes as there are."""
    turn = np.zeros(len(labels), int)  # how many of its class come before each picture
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return np.lexsort((labels, turn))[:count]


def _liveliest(maps: np.ndarray) -> np.ndarray:
    """Of maps (m, rows, columns, channels), the channels that differ most from place to place."""
    spread = maps.std(axis=(0, 1, 2))
    return maps[..., np.sort(np.argsort(-spread, kind="stable")[:_CHANNELS])]
