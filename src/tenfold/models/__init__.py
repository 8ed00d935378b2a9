"""Architectures, by name, and the two forms every model has.

A builder is a function `(image_shape, classes, *, data_format, **options) -> keras.Model` that takes pixels
0..255. The training form is built in the layout and precision that train fastest; the portable form, which a
run keeps, is channels_last, float32, of stock Keras layers. `set_weights` carries one to the other.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.utils import module_utils  # no public name; see spare_tensorflow

from tenfold import layers
from tenfold.calibration import PLAIN, Calibrator
from tenfold.errors import DataError, UsageError, unknown
from tenfold.models import augmented, batchnorm, compact, fast, plain, tiny

BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "augmented": augmented.augmented,
    "batchnorm": batchnorm.batchnorm,
    "compact": compact.compact,
    "fast": fast.fast,
    "plain": plain.plain,
    "tiny": tiny.tiny,
}

ANY_SIZE = frozenset({"fast"})
"""Architectures that end in a global pool, so that their weights fit pictures of any size."""


def build(
    name: str,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: layers.DataFormat = "channels_last",
    precision: str = "float32",
    options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds an architecture with fresh weights (seed them with `keras.utils.set_random_seed`).

    Args:
        name: a key of `BUILDERS`.
        image_shape: (height, width, 3).
        classes: how many; 2 or more.
        data_format: layout of its layers; the input is channels last either way.
        precision: Keras dtype policy, "float32" or "mixed_bfloat16".
        options: the architecture's own.

    Raises:
        UsageError: unknown name or option, or pictures too small for the architecture.
    """
    if name not in BUILDERS:
        raise UsageError(unknown("model", name, BUILDERS))
    builder = BUILDERS[name]
    known = [
        n for n in inspect.signature(builder).parameters if n not in ("image_shape", "classes", "data_format")
    ]
    for option in options or {}:
        if option not in known:
            raise UsageError(unknown(f"option of model {name!r}", option, known))
    with _policy(precision):
        try:
            return builder(image_shape, classes, data_format=data_format, **(options or {}))
        except ValueError as error:
            raise UsageError(
                f"Model {name!r} cannot be built for {image_shape[0]} x {image_shape[1]} pictures: "
                f"{str(error).splitlines()[0]} Choose a larger --image-size or another model."
            ) from error


def spare_tensorflow() -> None:
    """Keeps Keras from importing TensorFlow under another backend, where TensorFlow is installed.

    Keras asks in a few places (seeding, saving) whether an object is one of TensorFlow's types, and imports
    all of it, seconds and hundreds of megabytes, to learn that it is not.
    """
    if keras.backend.backend() != "tensorflow":
        module_utils.tensorflow._available = False


@contextlib.contextmanager
def _policy(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def returns_logits(model: keras.Model) -> bool:
    """True where the model ends without a softmax."""
    last = model.layers[-1]
    ends_so = getattr(last, "activation", None) is keras.activations.softmax
    return not (ends_so or isinstance(last, keras.layers.Softmax))


def predict_fn(
    model: keras.Model, batch_size: int = 512, *, calibrator: Calibrator = PLAIN
) -> Callable[[np.ndarray], np.ndarray]:
    """The model as a function from uint8 (n, h, w, 3) to float32 probabilities (n, classes)."""

    def predict(images: np.ndarray) -> np.ndarray:
        return calibrator(_probabilities(model, model.predict(images, batch_size=batch_size, verbose=0)))

    return predict


def head(model: keras.Model) -> keras.Layer | None:
    """The last dense layer, whose input is what a model has made of a picture; None where there is none."""
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return dense[-1] if dense else None


def observe_fn(
    model: keras.Model, batch_size: int = 512
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]:
    """As `predict_fn`, with the features that the head takes beside the probabilities, in one pass.

    Features are float32 (n, features), and None for a model without a head.
    """
    last = head(model)
    if last is None:
        predict = predict_fn(model, batch_size)
        return lambda images: (predict(images), None)
    both = keras.Model(model.inputs, [last.input, model.outputs[0]])

    def observe(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        features, outputs = both.predict(images, batch_size=batch_size, verbose=0)
        return _probabilities(model, outputs), np.asarray(features, np.float32)

    return observe


def _probabilities(model: keras.Model, outputs: Any) -> np.ndarray:
    outputs = np.asarray(outputs, np.float32)
    if not returns_logits(model):
        return outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def twin(
    model: keras.Model,
    name: str,
    *,
    data_format: layers.DataFormat,
    precision: str = "float32",
    options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """A model that `build` made under `name` with `options`, in another layout or precision, same weights."""
    other = build(
        name,
        model.input_shape[1:],
        model.output_shape[-1],
        data_format=data_format,
        precision=precision,
        options=options,
    )
    other.set_weights(model.get_weights())
    return other


def prepare(model: keras.Model, images: np.ndarray) -> None:
    """Sets what an architecture takes from the training pictures before its first step.

    Args:
        model: fresh from `build`.
        images: uint8 (n, height, width, 3) of the training split; a few hundred suffice.
    """
    if any(layer.name == "whitening" for layer in model.layers):
        fast.whiten(model, images)


def take_any_size(model: keras.Model) -> None:
    """Lets a model of `ANY_SIZE` take pictures of other sizes than it was built for."""
    model.input_spec = keras.layers.InputSpec(shape=(None, None, None, model.input_shape[-1]))


def load(path: Path) -> keras.Model:
    """Opens a saved model. No code is run from the file.

    Raises:
        DataError: missing or not a Keras model.
    """
    spare_tensorflow()
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} cannot be opened as a Keras model: {str(error).splitlines()[0]}") from error


def load_fast(path: Path, name: str, options: Mapping[str, Any] | None = None) -> keras.Model:
    """Opens a saved model of the architecture `name` in the layout that computes fastest here.

    The file holds the portable form. Where this version builds the architecture otherwise than the one that
    saved it, the portable form is what comes.

    Raises:
        DataError: as `load`.
    """
    model, layout = load(path), layers.training_format()
    if layout == "channels_last":
        return model
    try:
        return twin(model, name, data_format=layout, options=options)
    except (UsageError, ValueError):
        return model


def flops(model: keras.Model) -> int:
    """Floating-point operations of one forward pass for one picture (a multiply and an add count as two).

    Convolutions and dense layers are counted; all else is smaller by orders of magnitude.
    """
    total = 0
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        places = 1
        if len(kernel.shape) == 4:
            channels_last = layer.data_format == "channels_last"
            places = int(np.prod(layer.output.shape[1:3] if channels_last else layer.output.shape[2:4]))
        total += 2 * places * int(np.prod(kernel.shape))
    return total
