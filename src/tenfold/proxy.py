"""A small network, trained beside a large one, that picks the pictures worth the large one's step.

Most pictures are easy after a few epochs and teach little more. The small network answers them all at a
fraction of the cost, and the large one learns from those it is least sure of; `Config.candidates` says out of
how many. Labels have no say: by its loss it would pick the wrong ones. As what is picked comes back more
often, it wants stronger augmentation than all pictures do (docs/log.md).

Sources: Lewis and Gale, "A Sequential Algorithm for Training Text Classifiers" (arXiv:cmp-lg/9407020), for
picking by sureness; Loshchilov and Hutter, "Online Batch Selection for Faster Training of Neural Networks"
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
    """Chooses the pictures of a batch that it is least sure of, and learns from some of its choices.

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
        """The places of the pictures that it is least sure of, one out of `candidates`, in their order.

        Args:
            images: uint8 (n, height, width, 3), as they will be learnt; an array, or a tensor on the device.
            targets: float32 (n, classes) or int (n,), where the images are.
            progress: share of the training that is done, 0 to 1.

        Returns:
            int (n / candidates, rounded up,).
        """
        logits = keras.ops.convert_to_tensor(self._model.predict_on_batch(images))
        sureness = keras.ops.convert_to_numpy(keras.ops.max(keras.ops.softmax(logits), axis=1))
        count = -(-len(images) // self.candidates)
        kept = np.sort(np.argsort(sureness, kind="stable")[:count])
        if self._choices % _EVERY == 0:
            schedule, warmup = self._shape
            self._model.optimizer.learning_rate = _RATE * float(height(progress, warmup, schedule, 1e-3))
            self._model.train_on_batch(images[kept], targets[kept])
        self._choices += 1
        return kept

    def get_state(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        variables = [keras.ops.convert_to_numpy(each) for each in self._variables()]
        return {"choices": self._choices}, variables

    def set_state(self, facts: dict[str, Any], arrays: list[np.ndarray]) -> None:
        self._choices = facts["choices"]
        for place, value in zip(self._variables(), arrays, strict=True):
            place.assign(value)

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._model.optimizer.variables]


def beside(settings: Config, dataset: Dataset) -> Proxy | None:
    """The small network of a run, where its settings ask for one."""
    return Proxy(settings, dataset) if settings.candidates > 1 else None
