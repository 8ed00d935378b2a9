"""What comes before the first step: settings decided, the process set up, the model built and compiled."""

import dataclasses
import math
import os
from typing import Literal

import keras
import numpy as np

from tenfold import layers, machine, models, optimizers
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.errors import UsageError
from tenfold.models import own
from tenfold.models.own import Own

_SAMPLE = 500  # pictures that the model is set up from: half a million patches; 2,000 take 0.8 s longer
_FEW = 8  # on which two forms of a model of the user's own are compared


def resolve(settings: Config) -> tuple[Config, str]:
    """Settings with backend and precision decided, and the reason for the precision."""
    running = keras.backend.backend()
    if settings.backend not in ("auto", running):
        raise UsageError(
            f"Keras runs on {running} already and cannot change. Received: backend={settings.backend}. "
            f"Set the environment variable KERAS_BACKEND={settings.backend} before Keras is imported."
        )
    precision, reason = settings.precision, "as asked for"
    if precision == "auto":
        precision, reason = _precision(running)
    # Keras' `fit` under TensorFlow takes the shape of all batches from the first ones.
    resizable = settings.model in models.ANY_SIZE and running != "tensorflow"
    small = settings.small_pictures if resizable else 0.0
    # Others ask for batches ahead of the steps, so that what is chosen would depend on their haste.
    candidates = settings.candidates if running == "torch" else 1
    settings = dataclasses.replace(settings, small_pictures=small, candidates=candidates)
    return dataclasses.replace(settings, backend=running, precision=precision), reason


def _precision(running: str) -> tuple[Literal["float32", "mixed_bfloat16"], str]:
    """What is likely fastest under a backend, and why."""
    if found := machine.accelerator():
        if found.bfloat16:
            return "mixed_bfloat16", f"{found.name} computes in it natively; nothing was timed"
        return "float32", f"{found.name} is not known to be faster in bfloat16; nothing was timed"
    if running == "jax":
        return "float32", "JAX is slower in bfloat16 on a processor"
    gain = machine.bfloat16_gain()
    reason = f"a convolution in bfloat16 was measured {gain:.1f} times as fast as in float32"
    return "mixed_bfloat16" if gain > 1.2 else "float32", reason


def fit_model(settings: Config, dataset: Dataset) -> Config:
    """Settings of a run by the clock with the form of the model `fast` decided, where nobody chose its size.

    The rule was measured on processors; on an accelerator the model keeps its own form.
    """
    if settings.time is None or settings.model != "fast" or {"width", "depth"} & set(settings.model_options):
        return settings
    if machine.accelerator():
        return settings
    kind = "bfloat16" if settings.precision == "mixed_bfloat16" else "float32"
    # A training step gets about two thirds of what convolutions alone would do out of a processor.
    affordable = 2 / 3 * machine.convolution_speed(kind) * float(settings.time)
    form = models.fast.fitting(affordable, math.prod(dataset.images.shape[:3]))
    if not settings.augmentation.mirrors:
        form["mirror"] = False
    return dataclasses.replace(settings, model_options={**form, **settings.model_options})


def set_up(settings: Config) -> None:
    """Brings this process into the state that `settings` ask for: seeds, threads, allocator."""
    machine.keep_memory()
    models.spare_tensorflow()
    keras.utils.set_random_seed(settings.seed)
    if settings.backend == "torch" and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(machine.cores())


def threads(settings: Config) -> int:
    """How many threads the backend computes with."""
    if settings.backend != "torch":
        return machine.cores()
    import torch

    return torch.get_num_threads()


def adopt(settings: Config, dataset: Dataset, given: keras.Model | None = None) -> Own | None:
    """The model of the user's own that the settings name, made ready; None where they name one of ours.

    Args:
        settings: resolved.
        dataset: the training pictures.
        given: the model itself, where it is in memory.

    Raises:
        UsageError, DataError: as `own.adopt`.
    """
    if not settings.own_model:
        return None
    few = np.random.default_rng(settings.seed).permutation(len(dataset))[:_FEW]
    return own.adopt(settings, dataset.images[np.sort(few)], len(dataset.class_names), given)


def build(settings: Config, dataset: Dataset, adopted: Own | None = None) -> keras.Model:
    """A fresh, compiled model in the form that trains fastest, set up from the training pictures.

    Args:
        settings: resolved.
        dataset: the training pictures.
        adopted: what `adopt` returned for them, where the caller has it already.
    """
    if adopted is None:
        adopted = adopt(settings, dataset)
    if adopted is not None:
        return compiled(adopted.model, settings, len(dataset))
    model = models.build(
        settings.model,
        dataset.images.shape[1:],
        len(dataset.class_names),
        data_format=layers.training_format(),
        precision=settings.precision,
        options=settings.model_options,
    )
    if settings.small_pictures:
        models.take_any_size(model)
    sample = np.random.default_rng(settings.seed).permutation(len(dataset))[:_SAMPLE]
    models.prepare(model, dataset.images[sample])
    return compiled(model, settings, len(dataset))


def compiled(model: keras.Model, settings: Config, pictures: int) -> keras.Model:
    """`model`, ready to be fitted to so many pictures an epoch as `settings` say."""
    steps = settings.epochs * -(-pictures // settings.batch_size)
    logits = models.returns_logits(model)
    if settings.soft_labels:
        loss = keras.losses.CategoricalCrossentropy(logits, label_smoothing=settings.label_smoothing)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(logits)
    # JAX without XLA runs one operation at a time. XLA slows TensorFlow down in bfloat16 on a processor, and
    # under torch compiling does not pay.
    exact = settings.precision == "float32"
    quick = "auto" if settings.backend == "jax" or (settings.backend == "tensorflow" and exact) else False
    model.compile(optimizers.build(settings, steps), loss, metrics=["accuracy"], jit_compile=quick)
    _settle(model, one_hot=settings.soft_labels)
    return model


def _settle(model: keras.Model, *, one_hot: bool) -> None:
    """Has loss and metrics take their forms from two made-up answers.

    Else `fit` finds them out from symbolic tensors, for which torch imports its compiler: 1.3 seconds.
    """
    answers = keras.ops.zeros((2, model.output_shape[-1]))
    targets = answers if one_hot else keras.ops.zeros((2,), "int64")
    model.compute_loss(y=targets, y_pred=answers, training=False)
    model.compute_metrics(None, targets, answers)
    model.reset_metrics()
