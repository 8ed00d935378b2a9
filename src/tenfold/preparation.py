"""What comes before the first step: settings decided, the process set up, the model built and compiled."""

import dataclasses
import os

import keras
import numpy as np

from tenfold import layers, machine, models, optimizers
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.errors import UsageError

_SAMPLE = 500  # pictures that the model is set up from: half a million patches; 2,000 take 0.8 s longer


def resolve(settings: Config) -> tuple[Config, str]:
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
    # Keras' `fit` under TensorFlow takes the shape of all batches from the first ones.
    resizable = settings.model in models.ANY_SIZE and running != "tensorflow"
    small = settings.small_pictures if resizable else 0.0
    return dataclasses.replace(settings, backend=running, precision=precision, small_pictures=small), reason


def fit_width(settings: Config, dataset: Dataset) -> Config:
    """Settings of a run by the clock with the width of the model `fast` decided, where nobody chose one."""
    if settings.time is None or settings.model != "fast" or "width" in settings.model_options:
        return settings
    kind = "bfloat16" if settings.precision == "mixed_bfloat16" else "float32"
    # A training step gets about two thirds of what convolutions alone would do out of a processor.
    affordable = 2 / 3 * machine.convolution_speed(kind) * float(settings.time)
    width = models.fast.fitting(affordable, dataset.images[..., 0].size)
    return dataclasses.replace(settings, model_options={**settings.model_options, "width": width})


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


def build(settings: Config, dataset: Dataset) -> keras.Model:
    """A fresh, compiled model in the form that trains fastest, set up from the training pictures."""
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
