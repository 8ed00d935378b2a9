"""Architectures, by name, and the two forms every model has.

A builder is a function `(image_shape, classes, *, data_format, **options) -> keras.Model` that takes pixels
0..255. The training form is built in the layout and precision that train fastest; the portable form, which a
run keeps, is channels_last, float32, of stock Keras layers. `set_weights` carries one to the other.
"""

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.utils import module_utils  # no public name; see spare_tensorflow

from tenfold import layers
from tenfold.calibration import PLAIN, Calibrator
from tenfold.errors import DataError, UsageError, unknown
from tenfold.models import (
    augmented,
    backbones,
    batchnorm,
    compact,
    convmixer,
    convnext,
    fast,
    heads,
    inception,
    mobilenet,
    plain,
    resnet,
    tiny,
    vgg,
    vit,
    wideresnet,
)
from tenfold.models.cost import flops as flops
from tenfold.models.cost import held as held
from tenfold.models.grid import settle as settle
from tenfold.models.heads import head as head
from tenfold.models.layout import original
from tenfold.models.likeness import rebuilt

BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "augmented": augmented.augmented,
    "batchnorm": batchnorm.batchnorm,
    "compact": compact.compact,
    "convmixer": convmixer.convmixer,
    "convnext": convnext.convnext,
    "fast": fast.fast,
    "inception": inception.inception,
    "mobilenetv2": mobilenet.mobilenetv2,
    "plain": plain.plain,
    "resnet18": resnet.resnet18,
    "resnet20": resnet.resnet,
    "resnet56": functools.partial(resnet.resnet, depth=56),
    "tiny": tiny.tiny,
    "vgg16": vgg.vgg,
    "vit": vit.vit,
    "wideresnet": wideresnet.wideresnet,
}

EVERY = {**BUILDERS, **backbones.BUILDERS}
"""The same, and the networks of Keras Applications as `keras/NAME`."""

ANY_SIZE = frozenset(BUILDERS) - {"augmented", "batchnorm", "compact", "plain", "tiny", "vit"}
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
        name: a key of `EVERY`.
        image_shape: (height, width, 3).
        classes: how many; 2 or more.
        data_format: layout of its layers; the input is channels last either way.
        precision: Keras dtype policy, "float32" or "mixed_bfloat16".
        options: the architecture's own; `heads.OPTION` puts another head on it.

    Raises:
        UsageError: unknown name or option, or pictures too small for the architecture.
    """
    if name not in EVERY:
        raise UsageError(unknown("model", name, BUILDERS))
    options = dict(options or {})
    renewed = options.pop(heads.OPTION, None)
    known = defaults(name)
    for option in options:
        if option not in known:
            raise UsageError(unknown(f"option of model {name!r}", option, known))
    with _policy(precision):
        try:
            model = EVERY[name](image_shape, classes, data_format=data_format, **options)
            return model if renewed is None else heads.renewed(model, classes, renewed, data_format)
        except ValueError as error:
            raise UsageError(
                f"Model {name!r} cannot be built for {image_shape[0]} x {image_shape[1]} pictures: "
                f"{str(error).splitlines()[0]} Choose a larger --image-size or another model."
            ) from error


def defaults(name: str) -> dict[str, Any]:
    """An architecture's own options, and what each is where nobody says otherwise.

    Args:
        name: a key of `EVERY`.
    """
    parameters = inspect.signature(EVERY[name]).parameters.values()
    shared = ("image_shape", "classes", "data_format")
    return {each.name: each.default for each in parameters if each.name not in shared}


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
    last = last_step(model)
    ends_so = getattr(last, "activation", None) is keras.activations.softmax
    return not (ends_so or isinstance(last, keras.layers.Softmax))


def last_step(model: keras.Model) -> Any:
    """What gives a model's answer: its last layer, or an operation of `keras.ops` behind that."""
    return getattr(model, "operations", model.layers)[-1]


def predict_fn(
    model: keras.Model, batch_size: int = 512, *, calibrator: Calibrator = PLAIN
) -> Callable[[np.ndarray], np.ndarray]:
    """The model as a function from uint8 (n, h, w, 3) to float32 probabilities (n, classes)."""

    def predict(images: np.ndarray) -> np.ndarray:
        size = held(model, images.shape[1], batch_size)
        outputs = model.predict(images, batch_size=size, verbose=0)
        return calibrator(_probabilities(model, outputs))

    return predict


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
        size = held(model, images.shape[1], batch_size)
        features, outputs = both.predict(images, batch_size=size, verbose=0)
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
    if (portable := original(model)) is not None:
        return rebuilt(portable, data_format, precision)
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
        raise DataError(f"{path} cannot be opened as a Keras model: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Why Keras cannot make a model of what it was given, in a sentence for the one who made it."""
    text = str(error).strip()
    if found := re.search(r"Could not locate (?:class|function) '([^']+)'", text):
        return (
            f"it holds {found[1]}, and no code is run from a file. Expected: a class marked with "
            "@keras.saving.register_keras_serializable(), in a module that is imported before: python -c "
            "\"import MODULE; from tenfold.cli import main; main(['export', 'RUN'])\"."
        )
    if "lambda" in text.lower() and "safe_mode" in text:
        return (
            "it holds a keras.layers.Lambda, and no code is run from a file. Expected: keras.ops "
            "in place of it, or a layer class of your own that is registered with Keras."
        )
    return (text.splitlines() or [type(error).__name__])[0]


def load_fast(path: Path, name: str, options: Mapping[str, Any] | None = None) -> keras.Model:
    """Opens a saved model of the architecture `name` in the layout that computes fastest here.

    The file holds the portable form. Where this version builds the architecture otherwise than the one that
    saved it, the portable form is what comes.

    Raises:
        DataError: as `load`.
    """
    model, layout = load(path), layers.training_format()
    if name not in EVERY:  # a model of the user's own
        return rebuilt(model, layout)
    if layout == "channels_last":
        return model
    try:
        return twin(model, name, data_format=layout, options=options)
    except (UsageError, ValueError):
        return model
