"""A small network, trained beside a large one, that picks the pictures worth the large one's step.

Most pictures are easy after a few epochs and teach little more. The small network answers them all at a
fraction of the cost, and the large one learns from those it finds hardest; `Config.candidates` says out of
how many. As these come back more often, they want stronger augmentation than all pictures do (docs/log.md).

Sources: Loshchilov and Hutter, "Online Batch Selection for Faster Training of Neural Networks"
(arXiv:1511.06343); Coleman et al., "Selection via Proxy" (arXiv:1906.11829); Jordan's airbench96, whose small
network is trained beside the large one.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from tenfold import preparation
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.optimizers import height

_OPTIONS: dict[str, int | float | str | bool] = {"stem": 32, "width": 0.25, "depth": 2}
_RATE, _MOMENTUM = 0.12, 0.6  # of Muon, with which `fast` learns from batches of any recipe
_EVERY = 4  # choices from one step of the small network to the next: it need not be good, and steps cost


class Proxy:
    """Chooses the hardest pictures of a batch, and learns from some of its choices.

    Its rate follows the schedule of the settings. Being state of the training, it is saved with it.

    Args:
        settings: resolved, with `candidates`.
        dataset: the training pictures, from which its first layer is set up.
    """

    def __init__(self, settings: Config, dataset: Dataset):
        self.candidates = settings.candidates
        self._settings = dataclasses.replace(
            settings,
            model="fast",
            model_options=_OPTIONS,
            optimizer="muon",
            learning_rate=_RATE,
            momentum=_MOMENTUM,
            schedule="constant",
            warmup=0.0,
        )
        self._shape = settings.schedule, settings.warmup
        self._model = preparation.build(self._settings, dataset)
        self._model.optimizer.build(self._model.trainable_variables)
        self._choices = 0

    def __call__(self, images: Any, targets: Any, progress: float) -> np.ndarray:
        """The places of the hardest pictures, one out of `candidates`, in their order.

        Args:
            images: uint8 (n, height, width, 3), as they will be learnt; an array, or a tensor on the device.
            targets: float32 (n, classes) or int (n,), where the images are.
            progress: share of the training that is done, 0 to 1.

        Returns:
            int (n / candidates, rounded up,).
        """
        answers = self._model.predict_on_batch(images)
        losses = keras.ops.convert_to_numpy(self._losses(targets, answers))
        count = -(-len(images) // self.candidates)
        hardest = np.sort(np.argsort(losses, kind="stable")[len(losses) - count :])
        if self._choices % _EVERY == 0:
            schedule, warmup = self._shape
            self._model.optimizer.learning_rate = _RATE * float(height(progress, warmup, schedule, 1e-3))
            self._model.train_on_batch(images[hardest], targets[hardest])
        self._choices += 1
        return hardest

    def get_state(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        variables = [keras.ops.convert_to_numpy(each) for each in self._variables()]
        return {"choices": self._choices}, variables

    def set_state(self, facts: dict[str, Any], arrays: list[np.ndarray]) -> None:
        self._choices = facts["choices"]
        for place, value in zip(self._variables(), arrays, strict=True):
            place.assign(value)

    def _losses(self, targets: Any, answers: np.ndarray) -> Any:
        """What each answer costs: (n,)."""
        if targets.ndim == 1:
            return keras.losses.sparse_categorical_crossentropy(targets, answers, from_logits=True)
        smoothing = self._settings.label_smoothing
        return keras.losses.categorical_crossentropy(
            targets, answers, from_logits=True, label_smoothing=smoothing
        )

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._model.optimizer.variables]


def beside(settings: Config, dataset: Dataset) -> Proxy | None:
    """The small network of a run, where its settings ask for one."""
    return Proxy(settings, dataset) if settings.candidates > 1 else None
