"""What a run knows about pictures: its features, and its answers to those it did not learn from."""

from typing import TYPE_CHECKING

import numpy as np

from tenfold.datasets import Dataset
from tenfold.errors import DataError

if TYPE_CHECKING:
    from tenfold.runs import Run


def features(run: "Run", images: np.ndarray) -> np.ndarray:
    """What the last layer of a run's model is given.

    Args:
        run: a finished run.
        images: uint8 (n, size, size, 3), of the size that it was trained on.

    Returns:
        float32 (n, d).

    Raises:
        DataError: the run holds no model that can be read.
    """
    from tenfold import models
    from tenfold.explanation.anatomy import Anatomy

    model = models.load_fast(run.model_path, run.config.model, run.config.model_options)
    return Anatomy(model, images.shape[1:]).forward(images)[1]


def unseen_answers(run: "Run", data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """A run's probabilities of its validation pictures, which it did not learn from.

    Args:
        run: a finished run; none of its pictures need be in `data`.
        data: the pictures in question, from one split.

    Returns:
        int64 (m,) rows of `data`, and float32 (m, classes) in the order of its `class_names`.

    Raises:
        DataError: the run has other classes.
    """
    ours = [name for name in data.class_names if name in run.class_names]
    if len(ours) < len(run.class_names):
        raise DataError(
            f"{run.path} has other classes than the data. Expected a run on "
            f"{', '.join(data.class_names[:10])}. Received: {', '.join(run.class_names[:10])}"
        )
    nothing = np.empty(0, np.int64), np.empty((0, len(data.class_names)), np.float32)
    if run.scores("validation") is None:
        return nothing
    answers = run.predictions("validation")
    place = {name: row for row, name in enumerate(data.ids)}
    known = [at for at, name in enumerate(answers["ids"]) if name in place]
    if not known:
        return nothing
    found = np.zeros((len(known), len(data.class_names)), np.float32)
    columns = [data.class_names.index(name) for name in run.class_names]
    found[:, columns] = answers["probabilities"][known]
    return np.array([place[answers["ids"][at]] for at in known], np.int64), found
