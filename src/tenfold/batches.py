"""The training pictures, batch by batch, as Keras' `fit` takes them."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tenfold import augmentation, balance, machine
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset
from tenfold.datasets.rows import Rows
from tenfold.device import Pictures


class Batches(keras.utils.PyDataset):
    """The training pictures in a new order every epoch, augmented batch by batch.

    All randomness comes from (seed, epoch, step), so that any batch can be made again alone; its pictures
    may also depend on `progress`, and on what `choose` has seen.

    Args:
        dataset: n pictures.
        settings: batch size, augmentation and seed.
        one_hot: give labels as float32 (b, classes) in place of int (b,).
        clock: tells the share of the training that is done, where time and not epochs decide it.
        resident: make the batches on the device that Keras computes on, from pictures that stay there; under
            torch and JAX. Default: where `worth_residing` says so.
        teach: gives the targets of a batch from its pictures, changed but not yet small, and the targets of
            their labels; with `one_hot`, and not with `resident`.
        choose: gives the places of the pictures to learn among `settings.candidates` batches of them, from
            the pictures as they would be learnt, their targets and `progress`. Without it, and once
            pictures are mild, there is but one batch, all of which is learnt.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Config,
        *,
        one_hot: bool,
        clock: Callable[[], float] | None = None,
        resident: bool | None = None,
        teach: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
        choose: Callable[[Any, Any, float], np.ndarray] | None = None,
    ):
        super().__init__()
        self.dataset = dataset
        self.settings = settings
        self.targets = one_hot_labels(dataset) if one_hot else dataset.labels
        self.weights = (
            balance.class_weights(dataset.labels, len(dataset.class_names)) if settings.balance else None
        )
        self.epoch = 0
        self.clock = clock
        self.teach = teach
        self.choose = choose
        self._looks = settings.candidates if choose else 1  # at every picture, in an epoch
        self._orders: dict[int, np.ndarray] = {}
        if resident is None:
            resident = teach is None and worth_residing(dataset, settings)
        self._pictures = Pictures(dataset.images, self.targets) if resident else None

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.settings.batch_size)

    def progress(self, step: int) -> float:
        """Share of the whole training that is done before this step of the running epoch, 0 to 1."""
        if self.clock is not None:
            return self.clock()
        return (self.epoch + step / len(self)) / self.settings.epochs

    def __getitem__(self, step: int) -> tuple[Any, ...]:
        progress = self.progress(step)
        side = None
        if progress < self.settings.small_pictures:
            side = small_side(self.dataset.images.shape[1])
        share = self.settings.mild_pictures
        mild = share > 0 and progress >= 1 - share
        # A picture's side alternates with the number of the pass, which one pass an epoch must do, too.
        passes = [self.epoch % self._looks] if mild else range(self._looks)
        change = self.settings.augmentation.mild if mild else self.settings.augmentation
        looks = [self._look(self.epoch * self._looks + each, step, change) for each in passes]
        if self._pictures is not None:
            made = [self._pictures.batch(index, side, **vars(drawn)) for index, drawn in looks]
            images, targets = (_joined(parts) for parts in zip(*made, strict=True))
            learnt = images
        else:
            images = _joined(
                [augmentation.apply(self.dataset.images[index], drawn) for index, drawn in looks]
            )
            targets = _joined([augmentation.mix(self.targets[index], drawn) for index, drawn in looks])
            learnt = images if side is None else augmentation.shrink(images, side)
        if self.choose is not None and not mild:
            kept = self.choose(learnt, targets, progress)
            images, targets, learnt = images[kept], targets[kept], learnt[kept]
        weights = self._weigh(targets)
        if self.teach is not None:
            targets = self.teach(images, targets)
        return learnt, targets, *weights

    def _look(self, number: int, step: int, change: Augmentation) -> tuple[np.ndarray, augmentation.Changes]:
        """Which pictures the step sees in a pass over all of them, and how they are changed."""
        seed, size = self.settings.seed, self.settings.batch_size
        if number not in self._orders:
            if len(self._orders) == self._looks:
                self._orders.clear()
            self._orders[number] = np.random.default_rng([seed, number]).permutation(len(self.dataset))
        index = self._orders[number][step * size : (step + 1) * size]
        mirrored = None
        if change.flip == "alternate":
            mirrored = augmentation.alternating(index, number, seed, len(self.dataset))
        generator = np.random.default_rng([seed, number, step])
        shape = (len(index), *self.dataset.images.shape[1:])
        return index, augmentation.draw(change, shape, generator, mirrored)

    def _weigh(self, targets: Any) -> tuple[Any, ...]:
        """The weights of a batch's pictures, where there are any."""
        return () if self.weights is None else (balance.weigh(targets, self.weights),)


def _joined(parts: Sequence[Any]) -> Any:
    """Arrays or tensors, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else keras.ops.concatenate(parts)


def worth_residing(dataset: Dataset, settings: Config) -> bool:
    """Whether training pictures should live on an accelerator: there is one, and they take a quarter of it.

    No more than a quarter of its free memory, that is: the rest is for the model. Under JAX pictures whose
    changes need torch (`augmentation.needs_torch`) stay with the processor, and so do pictures on the disk.
    """
    found = machine.accelerator()
    foreign = keras.backend.backend() == "jax" and augmentation.needs_torch(settings.augmentation)
    if found is None or foreign or isinstance(dataset.images, Rows):
        return False
    return dataset.images.nbytes <= found.memory / 4


def small_side(side: int) -> int:
    """Side of the pictures early in a run with `small_pictures`: three quarters, but no less than 16."""
    return min(side, max(16, round(0.75 * side)))


class Epochs(keras.callbacks.Callback):
    """Tells the batches which epoch is running, and seeds torch by it.

    Keras' dropout draws from torch's global generator there; so an epoch's masks, too, follow from the
    seed and the epoch, wherever training began.
    """

    def __init__(self, batches: Batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.batches.epoch = epoch
        if keras.backend.backend() == "torch":
            import torch

            sequence = np.random.SeedSequence([self.batches.settings.seed, epoch])
            torch.manual_seed(int(sequence.generate_state(1)[0]))


def one_hot_labels(dataset: Dataset) -> np.ndarray:
    """Labels as float32 (n, classes): 1 at the class, 0 elsewhere."""
    return np.eye(len(dataset.class_names), dtype=np.float32)[dataset.labels]


class InOrder(keras.utils.PyDataset):
    """Pictures that stay on the disk, with their targets, batch by batch in their order.

    Args:
        images: uint8 (n, height, width, 3).
        targets: (n, ...).
        size: pictures a batch.
    """

    def __init__(self, images: np.ndarray, targets: np.ndarray, size: int):
        super().__init__()
        self.images, self.targets, self.size = images, targets, size

    def __len__(self) -> int:
        return -(-len(self.targets) // self.size)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(step * self.size, (step + 1) * self.size)
        return self.images[part], self.targets[part]


def held_data(dataset: Dataset | None, size: int, *, one_hot: bool) -> Any:
    """Validation pictures as `fit` takes them: two arrays, or `InOrder` of those on the disk, or None.

    Args:
        dataset: the pictures, if any.
        size: pictures a batch.
        one_hot: as in `Batches`.
    """
    if dataset is None:
        return None
    targets = one_hot_labels(dataset) if one_hot else dataset.labels
    if isinstance(dataset.images, Rows):
        return InOrder(dataset.images, targets, size)
    return dataset.images, targets
