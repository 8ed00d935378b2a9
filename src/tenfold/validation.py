"""What validation pictures tell about a finished model: its scores, and how sure it may be of its answers.

All that is chosen after training is chosen here, on pictures that the model was not trained on, and before
anyone has looked at the test pictures.
"""

from collections.abc import Callable, Iterable

import numpy as np

from tenfold import calibration
from tenfold.abstention import Threshold, fit_familiarity, threshold
from tenfold.answers import ask
from tenfold.datasets.dataset import Dataset
from tenfold.evaluation import Evaluation, score
from tenfold.runs import Run

ObserveFn = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""uint8 (n, height, width, 3) to probabilities (n, classes) and features (n, features), or None."""


def validate(
    run: Run, observe_fn: ObserveFn, dataset: Dataset, *, top_k: Iterable[int] = (1, 3, 5)
) -> Evaluation:
    """Fits the calibration of a run, leaves it as `calibration.json`, and scores the run with it.

    Args:
        run: takes the calibration.
        observe_fn: the model, not calibrated.
        dataset: the validation pictures.
        top_k: as for `evaluation.evaluate`.

    Returns:
        The scores of the calibrated probabilities.

    Raises:
        UsageError, DataError: as `evaluation.evaluate`.
    """
    seen: list[np.ndarray | None] = []

    def predict(images: np.ndarray) -> np.ndarray:
        answers, features = observe_fn(images)
        seen.append(features)
        return answers

    classes = len(dataset.class_names)
    (probabilities,) = ask(predict, dataset.images, classes)
    fitted = calibration.fit(probabilities, dataset.labels)
    found = [features for features in seen if features is not None]
    known = fit_familiarity(np.concatenate(found), dataset.labels, classes) if found else None
    run.write("calibration.json", {**fitted.to_dict(), "familiarity": known.to_dict() if known else None})
    return score(fitted.calibrator(probabilities), dataset, top_k=top_k)


def sure_enough(run: Run, max_error: float) -> Threshold:
    """The `abstention.threshold` of a run, by its answers to the validation pictures.

    Raises:
        DataError: it has none. UsageError, GateError: as `abstention.threshold`.
    """
    found = run.predictions("validation")
    return threshold(found["probabilities"], found["labels"], max_error)
