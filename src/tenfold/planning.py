"""What a training run would do, found out without doing it."""

import dataclasses
import time
from dataclasses import dataclass

import keras
import numpy as np

from tenfold import distillation, machine, models, preparation, proxy, splits, transfer
from tenfold.batches import Batches, small_side
from tenfold.budget import Budget
from tenfold.config import Config
from tenfold.datasets import Dataset, Source
from tenfold.recipes import recipe


@dataclass(frozen=True)
class Plan:
    """What a training run would do, found out without doing it.

    Attributes:
        config: the settings, with precision, backend and picture size resolved.
        source: where the pictures come from.
        counts: pictures by split.
        image_shape: (height, width, 3).
        class_names: in the order of the labels.
        parameters: weights of the model, trained or not.
        flops: floating-point operations of one forward pass for one picture.
        precision: arithmetic of training.
        precision_reason: why this precision, in plain words.
        backend: the running Keras backend.
        images_per_second: training speed over the run, probed with a few steps of whole pictures.
        seconds: expected for the whole run, validation included; where `config.time` is set, that.
        epochs: passes over the training pictures; where `config.time` is set, how many are expected to fit.
        steps: the same in steps.
        memory_bytes: largest resident size of this process so far: data and probe steps.
        notes: what was noticed of the data and of a model of one's own, in sentences.
    """

    config: Config
    source: Source
    counts: dict[str, int]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    parameters: int
    flops: int
    precision: str
    precision_reason: str
    backend: str
    images_per_second: float
    seconds: float
    epochs: float
    steps: int
    memory_bytes: int
    notes: tuple[str, ...]


def plan(settings: Config, *, started: float | None = None, ending: float = 0.0) -> Plan:
    """Resolves settings against data and machine, and probes the training speed with a few steps.

    Args:
        settings: of the run.
        started: as in `training.train`; so is `ending`.
    """
    started = time.perf_counter() if started is None else started
    settings, reason = preparation.resolve(settings)
    preparation.set_up(settings)
    settings, reason = transfer.settle(settings, reason)
    parts = splits.read(settings)
    settings = dataclasses.replace(settings, image_size=parts.train.images.shape[1])
    settings = preparation.fit_model(settings, parts.train)
    if own := preparation.adopt(settings, parts.train):
        settings, reason = own.applied(settings), own.reason or reason
        model = preparation.build(settings, parts.train, own)
    else:
        settings, model = transfer.begin(settings, parts.train, lambda event: None)
    whole = dataclasses.replace(settings, small_pictures=0.0)
    with distillation.visiting(whole, parts.train) as teacher:
        chooser = proxy.beside(whole, parts.train)
        batches = Batches(parts.train, whole, one_hot=settings.soft_labels, teach=teacher, choose=chooser)
        probed, ready = _probed(model, batches)
    speed = probed * pace(settings)
    checked = len(parts.validation) if parts.validation is not None else 0
    if settings.time is None:
        forward = 3 * probed  # a forward pass is about a third of a step
        # A new head learns in seconds once one pass has computed its features.
        passes = settings.last_epoch - settings.epochs + 1 if settings.transfers else settings.epochs
        seconds = passes * (len(parts.train) / speed + checked / forward)
        fitting = settings.last_epoch * len(batches)
    else:
        seconds = float(settings.time)
        budget = Budget(settings, len(parts.train), checked, started=started, ending=ending)
        fitting = max(1, int(budget.fitting(settings.batch_size / speed, ready)))
    return Plan(
        config=settings,
        source=parts.source,
        counts=parts.counts,
        image_shape=parts.train.images.shape[1:],
        class_names=parts.train.class_names,
        parameters=model.count_params(),
        flops=models.flops(model),
        precision=settings.precision,
        precision_reason=reason,
        backend=settings.backend,
        images_per_second=speed,
        seconds=seconds,
        epochs=fitting / len(batches),
        steps=fitting,
        memory_bytes=machine.peak_memory(),
        notes=(*parts.notes, *(own.notes if own else ())),
    )


def _probed(model: keras.Model, batches: Batches) -> tuple[float, float]:
    """Pictures a second of a few steps of training, and when the first of them began."""
    warm, steps = 3, 0
    ready = start = stop = time.perf_counter()
    while stop - start < 3.0 and steps < 200:
        model.train_on_batch(*batches[steps % len(batches)])
        steps += 1
        if steps <= warm:  # the first steps also prepare kernels
            start = time.perf_counter()
        stop = time.perf_counter()
    return (steps - warm) * batches.settings.batch_size / (stop - start), ready


def training_speed(model: str) -> tuple[float, Config]:
    """How fast an architecture with its default options trains here, found in a few seconds.

    Pictures of 32 x 32 random pixels, ten classes, all else as in the recipe resnet20. What the backend
    computes with is set up as for a run.

    Args:
        model: a name of `models.BUILDERS`.

    Returns:
        Images a second, and the settings that they are of, with precision and backend decided.
    """
    settings, _ = preparation.resolve(dataclasses.replace(recipe("resnet20"), model=model))
    preparation.set_up(settings)
    count, classes = 4 * settings.batch_size, tuple("0123456789")
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    dataset = Dataset(pixels, np.arange(count) % len(classes), classes, tuple(map(str, range(count))))
    batches = Batches(dataset, settings, one_hot=settings.soft_labels)
    return _probed(preparation.build(settings, dataset), batches)[0], settings


def pace(settings: Config) -> float:
    """How many times faster a run is on average than on whole pictures, as a step costs what its pixels do.

    Args:
        settings: resolved, with `image_size`. A run by the clock has small pictures for a share of its time,
            another one for a share of its steps.
    """
    side, share = settings.image_size or 32, settings.small_pictures
    cost = (small_side(side) / side) ** 2
    return 1 - share + share / cost if settings.time is not None else 1 / (1 - share + share * cost)
