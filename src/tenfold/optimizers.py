"""Schedules and optimizers that Keras lacks, and the one place that turns settings into an optimizer."""

import math
from typing import Any

import keras

from tenfold.config import Config
from tenfold.constraints import Mirrored


def height(done: Any, warmup: float, shape: str, step: float) -> Any:
    """The learning rate as a share of its peak: see `Annealed`, which lays it over a number of steps.

    Args:
        done: share of the run that is done, 0 to 1; a number or a tensor.
        warmup: share of the run spent climbing, at least 0 and below 1.
        shape: "linear", "cosine" or "constant".
        step: share of the run that one step is, so that the first step already has some rate.
    """
    left = keras.ops.clip((1 - done) / (1 - warmup), 0.0, 1.0)
    fall = {"linear": left, "cosine": (1 - keras.ops.cos(left * math.pi)) / 2, "constant": 1.0}[shape]
    return keras.ops.minimum((done + step) / warmup, fall) if warmup else fall


@keras.saving.register_keras_serializable("tenfold")
class Annealed(keras.optimizers.schedules.LearningRateSchedule):
    """Climbs linearly to a peak, then falls to 0 by the last step, linearly or along a half cosine, or stays.

    Args:
        peak: largest learning rate.
        steps: steps of the whole run.
        warmup: share of the steps spent climbing, at least 0 and below 1.
        shape: "linear", "cosine" or "constant".
    """

    def __init__(self, peak: float, steps: int, warmup: float = 0.0, shape: str = "linear"):
        self.peak = peak
        self.steps = steps
        self.warmup = warmup
        self.shape = shape

    def __call__(self, step: Any) -> Any:
        done = keras.ops.cast(step, "float32") / self.steps
        return self.peak * height(done, self.warmup, self.shape, 1 / self.steps)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup, "shape": self.shape}


@keras.saving.register_keras_serializable("tenfold")
class ConvMuon(keras.optimizers.Muon):
    """Muon for convolution kernels, which Keras' own Muon leaves to AdamW.

    Each kernel is seen as a matrix (filters, height * width * channels): its momentum is replaced by the
    nearest matrix with equal singular values (a few Newton-Schulz steps), and the kernel keeps the norm
    root(filters). Everything that is no convolution kernel goes to AdamW. After Jordan's Muon and airbench
    (arXiv:2404.00498); the iteration runs in bfloat16 under torch, where it costs little. Where a kernel is
    under the constraint `Mirrored`, its gradient is projected first.

    Args:
        learning_rate: of the convolution kernels; their entries move by about this much times
            root(filters / entries) a step.
        momentum: Nesterov momentum of the convolution kernels.
        adam_ratio: learning rate of all other weights as a share of `learning_rate`.
        steps: Newton-Schulz iterations.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.6,
        adam_ratio: float = 0.05,
        steps: int = 3,
        weight_decay: float | None = None,
        **options: Any,
    ):
        options = {"adam_weight_decay": weight_decay, "rms_rate": None, **options}
        options.pop("ns_steps", None)
        options.pop("adam_lr_ratio", None)
        super().__init__(
            learning_rate,
            momentum=momentum,
            weight_decay=None,
            ns_steps=steps,
            adam_lr_ratio=adam_ratio,
            **options,
        )

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        # Projected only afterwards, a step would be the shorter the less its two mirror images agree.
        projected = [
            kernel.constraint(gradient)
            if gradient is not None and isinstance(kernel.constraint, Mirrored)
            else gradient
            for gradient, kernel in zip(grads, variables, strict=True)
        ]
        super().apply(projected, variables)

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        ops = keras.ops
        filters = variable.shape[-1]
        self.assign(m, ops.add(ops.multiply(m, self.momentum), gradient))
        step = ops.add(gradient, ops.multiply(m, self.momentum)) if self.nesterov else m
        matrix = ops.reshape(step, (-1, filters))
        kind = "bfloat16" if keras.backend.backend() == "torch" else matrix.dtype
        matrix = self.zeropower_via_newtonschulz5(ops.cast(matrix, kind), self.ns_steps)
        update = ops.reshape(ops.cast(matrix, variable.dtype), variable.shape)
        norm = ops.sqrt(ops.sum(ops.square(variable))) + self.epsilon
        self.assign(variable, variable * (filters**0.5 / norm) - lr * update)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["steps"] = config.pop("ns_steps")
        config["adam_ratio"] = config.pop("adam_lr_ratio")
        config["weight_decay"] = config.pop("adam_weight_decay")
        return config


def build(config: Config, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer that `config` names, its schedule laid over `steps` steps.

    Where `config.time` is set, nobody knows the number of steps: the rate is then the peak, and
    `budget.Budget` sets it before every step. Weight decay is decoupled and spares biases and the scales and
    offsets of norms.
    """
    rate: Any = config.learning_rate
    if config.time is None and (config.schedule != "constant" or config.warmup):
        rate = Annealed(config.learning_rate, steps, config.warmup, config.schedule)
    decay = config.weight_decay or None
    momentum = {"momentum": config.momentum, "nesterov": config.momentum > 0}
    optimizer: keras.optimizers.Optimizer
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, weight_decay=decay, **momentum)
    elif config.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate, weight_decay=decay)
    elif config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
    elif config.optimizer == "muon":
        optimizer = ConvMuon(rate, momentum=config.momentum, weight_decay=decay)
    else:
        optimizer = keras.optimizers.RMSprop(rate, weight_decay=decay)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
