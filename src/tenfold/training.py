"""From settings to a run folder, through Keras' `Model.fit`.

One call reads the data, cuts the validation split, builds the model in the form that trains fastest, fits
it, keeps the best epoch in the portable form, and evaluates that on the validation split.
"""

import contextlib
import dataclasses
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tenfold import augmentation, callbacks, config, evaluation, layers, machine, models, optimizers, splits
from tenfold.callbacks import Moment
from tenfold.config import Config
from tenfold.datasets import Dataset, Source
from tenfold.errors import Stopped, UsageError
from tenfold.runs import Run, create, discard

Listener = Callable[[Moment | str], None]


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
        images_per_second: training speed, probed with a few steps.
        seconds: expected for the whole run, validation included.
        memory_bytes: largest resident size of this process so far: data and probe steps.
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
    memory_bytes: int


class Batches(keras.utils.PyDataset):
    """The training pictures in a new order every epoch, augmented batch by batch.

    All randomness comes from (seed, epoch, step), so that any batch can be made again alone.

    Args:
        dataset: n pictures.
        settings: batch size, augmentation and seed.
        one_hot: give labels as float32 (b, classes) in place of int (b,).
    """

    def __init__(self, dataset: Dataset, settings: Config, *, one_hot: bool):
        super().__init__()
        self.dataset = dataset
        self.settings = settings
        self.targets = _one_hot(dataset) if one_hot else dataset.labels
        self.epoch = 0
        self._order: tuple[int, np.ndarray] = (-1, np.arange(0))

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.settings.batch_size)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        seed, size = self.settings.seed, self.settings.batch_size
        if self._order[0] != self.epoch:
            shuffled = np.random.default_rng([seed, self.epoch]).permutation(len(self.dataset))
            self._order = (self.epoch, shuffled)
        index = self._order[1][step * size : (step + 1) * size]
        change = self.settings.augmentation
        mirrored = None
        if change.flip == "alternate":
            mirrored = augmentation.alternating(index, self.epoch, seed, len(self.dataset))
        generator = np.random.default_rng([seed, self.epoch, step])
        images = augmentation.augment(self.dataset.images[index], change, generator, mirrored)
        return images, self.targets[index]


class _Epochs(keras.callbacks.Callback):
    """Tells the batches which epoch is running."""

    def __init__(self, batches: Batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.batches.epoch = epoch


def train(
    settings: Config,
    *,
    runs: Path = Path("runs"),
    name: str | None = None,
    exist_ok: bool = False,
    command: str = "",
    listen: Listener = lambda moment: None,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Trains a model and leaves a run folder.

    Args:
        settings: all settings; see `tenfold.recipes.recipe` for good ones.
        runs: folder that holds the run folders.
        name: of the run; the recipe's name by default, with a number where that is taken.
        exist_ok: overwrite the run of that name.
        command: the command line, for the record.
        listen: receives `Moment`s and plain sentences while the run goes on.
        extra_callbacks: Keras callbacks to run as well.

    Returns:
        The run, with its model, history and validation scores.

    Raises:
        DataError: data that cannot be used. UsageError: settings that contradict each other.
        GateError: the loss diverged. Stopped: interrupted; the best epoch so far is kept.

    Example:
        >>> run = tenfold.train(tenfold.recipe("tiny"))           # doctest: +SKIP
        >>> run.scores("validation")["accuracy"]                  # doctest: +SKIP
        0.61
    """
    settings, reason = _resolve(settings)
    _set_up(settings)
    parts = splits.read(settings)
    settings = dataclasses.replace(settings, image_size=parts.train.images.shape[1])
    model = _build(settings, parts.train)
    run = create(runs, name or settings.recipe, exist_ok=exist_ok)
    listen(f"Run folder: {run.path}")
    listen(f"Precision: {settings.precision} ({reason})")
    for note in parts.notes:
        listen(note)
    if parts.validation is None:
        listen(
            "No validation split: early stopping and the choice of the best epoch are off; "
            "the last epoch is kept."
        )
    _record(run, settings, parts, reason, command)
    start = time.perf_counter()
    best, progress = _callbacks(run, settings, parts, listen)
    try:
        with _terminable():
            _fit(model, settings, parts, [best, progress, *extra_callbacks])
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 143 if isinstance(stop, SystemExit) else 130
        raise _stopped(run, best, code) from None
    except BaseException:
        if best.weights is None:
            discard(run)
        raise
    model.set_weights(best.weights)
    _finish(run, model, settings, parts, best, progress, time.perf_counter() - start)
    return run


def plan(settings: Config) -> Plan:
    """Resolves settings against data and machine, and probes the training speed with a few steps."""
    settings, reason = _resolve(settings)
    _set_up(settings)
    parts = splits.read(settings)
    settings = dataclasses.replace(settings, image_size=parts.train.images.shape[1])
    model = _build(settings, parts.train)
    batches = Batches(parts.train, settings, one_hot=settings.label_smoothing > 0)
    warm, steps = 3, 0
    start = stop = time.perf_counter()
    while stop - start < 3.0 and steps < 200:
        model.train_on_batch(*batches[steps % len(batches)])
        steps += 1
        if steps <= warm:  # the first steps also prepare kernels
            start = time.perf_counter()
        stop = time.perf_counter()
    speed = (steps - warm) * settings.batch_size / (stop - start)
    checked = len(parts.validation) if parts.validation is not None else 0
    seconds = settings.epochs * (
        len(parts.train) / speed + checked / (3 * speed)
    )  # forward: a third of a step
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
        memory_bytes=machine.peak_memory(),
    )


def _resolve(settings: Config) -> tuple[Config, str]:
    """Settings with backend and precision decided, and the reason for the precision."""
    running = keras.backend.backend()
    if settings.backend not in ("auto", running):
        raise UsageError(
            f"Keras runs on {running} already and cannot change. Received: backend={settings.backend}. "
            f"Set the environment variable KERAS_BACKEND={settings.backend} before Keras is imported."
        )
    precision, reason = settings.precision, "as asked for"
    if precision == "auto" and running == "jax":
        precision, reason = "float32", "JAX is slower in bfloat16 on a processor"
    elif precision == "auto":
        gain = machine.bfloat16_gain()
        precision = "mixed_bfloat16" if gain > 1.2 else "float32"
        reason = f"a convolution in bfloat16 was measured {gain:.1f} times as fast as in float32"
    return dataclasses.replace(settings, backend=running, precision=precision), reason


def _set_up(settings: Config) -> None:
    machine.keep_memory()
    models.spare_tensorflow()
    keras.utils.set_random_seed(settings.seed)
    if settings.backend == "torch" and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(machine.cores())


def _build(settings: Config, dataset: Dataset) -> keras.Model:
    model = models.build(
        settings.model,
        dataset.images.shape[1:],
        len(dataset.class_names),
        data_format=layers.training_format(),
        precision=settings.precision,
        options=settings.model_options,
    )
    sample = np.random.default_rng(settings.seed).permutation(len(dataset))[:5000]
    models.prepare(model, dataset.images[sample])
    steps = settings.epochs * -(-len(dataset) // settings.batch_size)
    logits = models.returns_logits(model)
    if settings.label_smoothing:
        loss = keras.losses.CategoricalCrossentropy(logits, label_smoothing=settings.label_smoothing)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(logits)
    # XLA slows TensorFlow down in bfloat16 on a processor; under torch compiling does not pay either.
    compiled = "auto" if settings.backend != "torch" and settings.precision == "float32" else False
    model.compile(optimizers.build(settings, steps), loss, metrics=["accuracy"], jit_compile=compiled)
    return model


def _one_hot(dataset: Dataset) -> np.ndarray:
    return np.eye(len(dataset.class_names), dtype=np.float32)[dataset.labels]


def _callbacks(
    run: Run, settings: Config, parts: splits.Parts, listen: Listener
) -> tuple[callbacks.Best, callbacks.Progress]:
    def keep(model: keras.Model) -> None:
        whole = models.twin(
            model, settings.model, data_format="channels_last", options=settings.model_options
        )
        with run.replacing("model.keras") as path:
            whole.save(path)

    best = callbacks.Best(settings.monitor, keep)
    return best, callbacks.Progress(run, len(parts.train), settings.batch_size, best, listen)


def _fit(
    model: keras.Model, settings: Config, parts: splits.Parts, watchers: Sequence[keras.callbacks.Callback]
) -> None:
    one_hot = settings.label_smoothing > 0
    batches = Batches(parts.train, settings, one_hot=one_hot)
    held = parts.validation
    watchers = [_Epochs(batches), callbacks.Diverged(), *watchers]
    if held is not None and settings.patience:
        monitor = "val_accuracy" if settings.monitor == "last" else settings.monitor
        watchers.append(keras.callbacks.EarlyStopping(monitor, patience=settings.patience))
    model.fit(
        batches,
        epochs=settings.epochs,
        shuffle=False,  # the batches do it, from their own seed
        validation_data=None if held is None else (held.images, _one_hot(held) if one_hot else held.labels),
        validation_batch_size=max(settings.batch_size, 500),
        callbacks=watchers,
        verbose=0,
    )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turns SIGTERM into SystemExit, where signals can be set: in the main thread."""

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(143)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stopped(run: Run, best: callbacks.Best, code: int) -> Stopped:
    if best.weights is None:
        discard(run)
        return Stopped("Stopped before the first epoch had ended; nothing was kept.", code)
    run.append("events.jsonl", {"event": "stopped", "best_epoch": best.epoch})
    return Stopped(f"Stopped. The model of epoch {best.epoch} is kept in {run.model_path}.", code)


def _record(run: Run, settings: Config, parts: splits.Parts, reason: str, command: str) -> None:
    """Writes all that is known before the first step."""
    train = parts.train
    run.write("config.yaml", config.to_yaml(settings))
    run.write("command.txt", (command or "tenfold.train(...)") + "\n")
    run.write(
        "environment.json",
        {
            **machine.versions(),
            "backend": settings.backend,
            "precision": settings.precision,
            "precision_reason": reason,
            "threads": _threads(settings),
            "host_system": platform.system(),
        },
    )
    run.write(
        "data.json",
        {
            "source": settings.data,
            "kind": parts.source.kind,
            "class_names": list(train.class_names),
            "image_size": settings.image_size,
            "fit": settings.fit,
            "counts": parts.counts,
            "notes": list(parts.notes),
        },
    )
    run.write("splits.json", splits.record(parts, settings))
    chosen = np.concatenate([np.flatnonzero(train.labels == c)[:10] for c in range(len(train.class_names))])
    run.save_gallery("train", train.images[chosen], train.labels[chosen])
    run.append("events.jsonl", {"event": "started"})


def _threads(settings: Config) -> int:
    if settings.backend != "torch":
        return machine.cores()
    import torch

    return torch.get_num_threads()


def _finish(
    run: Run,
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    best: callbacks.Best,
    progress: callbacks.Progress,
    seconds: float,
) -> None:
    """Evaluates the kept model in float32 on the validation split and writes the summary."""
    run.write(
        "summary.json",
        {
            "seconds": round(seconds, 1),
            "images_per_second": round(progress.images_per_second, 1),
            "parameters": model.count_params(),
            "flops": models.flops(model),
            "epochs": len(progress.history),
            "best_epoch": best.epoch,
            "monitor": settings.monitor if parts.validation is not None else "last",
            "peak_memory_bytes": machine.peak_memory(),
        },
    )
    if parts.validation is not None:
        exact = models.twin(
            model, settings.model, data_format=layers.training_format(), options=settings.model_options
        )
        found = evaluation.evaluate(models.predict_fn(exact), parts.validation, split="validation")
        run.save_evaluation("validation", found.to_dict(), found.predictions(), parts.validation.images)
    run.append("events.jsonl", {"event": "finished", "seconds": round(seconds, 1)})
