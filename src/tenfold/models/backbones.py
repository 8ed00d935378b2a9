"""The networks of Keras Applications, ready for pixels and for new classes: `keras/mobilenetv2` and others.

Each is built without its own head, from pixels 0..255, with the scaling inside that its weights were trained
with, and with a head from `heads.attach`. Nothing is downloaded but through `fetch`.
"""

import contextlib
import functools
import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from tenfold.errors import DataError, UsageError, unknown
from tenfold.layers import DataFormat
from tenfold.models import heads
from tenfold.models.layout import relaid

PREFIX = "keras/"
"""Before the name of a backbone where it stands for an architecture: `--model` has its own `mobilenetv2`."""

LEAST = 96
"""Side in pixels that smaller pictures are enlarged to, or beyond: these networks halve a side five times,
and their smallest weights were trained at it."""

_SERVER = "https://storage.googleapis.com/tensorflow/keras-applications/"
_MEANS = [123.68, 116.779, 103.939]  # of ImageNet's red, green and blue, as Caffe's networks subtract them
_SIDES = (96, 128, 160, 192, 224)  # that MobileNetV2 has weights for


@dataclass(frozen=True)
class Backbone:
    """A network of Keras Applications.

    Attributes:
        network: its name in `keras.applications`.
        scaling: what it takes: pixels as -1 to 1 ("signed"), less their means ("caffe"), or as they are.
        file: Keras' weights without a head, below its server.
        digest: MD5 or SHA-256 of that file, in hexadecimal; empty where Keras has none.
    """

    network: str
    scaling: Literal["signed", "caffe", "own"]
    file: str
    digest: str = ""


def _efficient(kind: str, digest: str) -> Backbone:
    return Backbone(
        f"EfficientNetV2{kind.upper()}", "own", f"efficientnet_v2/efficientnetv2-{kind}_notop.h5", digest
    )


_KERNELS = "weights_tf_dim_ordering_tf_kernels"

BACKBONES: dict[str, Backbone] = {
    "convnexttiny": Backbone(
        "ConvNeXtTiny",
        "own",
        "convnext/convnext_tiny_notop.h5",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    "efficientnetv2b0": _efficient("b0", "893217f2bb855e2983157299931e43ff"),
    "efficientnetv2b1": _efficient("b1", "0e80663031ca32d657f9caa404b6ec37"),
    "efficientnetv2b2": _efficient("b2", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "efficientnetv2b3": _efficient("b3", "f6abf7b5849ac99a89b50dd3fd532856"),
    "efficientnetv2s": _efficient("s", "af0682fb74e8c54910f2d4393339c070"),
    "inceptionv3": Backbone(
        "InceptionV3",
        "signed",
        f"inception_v3/inception_v3_{_KERNELS}_notop.h5",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
    "mobilenetv2": Backbone(
        "MobileNetV2", "signed", f"mobilenet_v2/mobilenet_v2_{_KERNELS}_{{alpha}}_{{side}}_no_top.h5"
    ),
    "resnet50v2": Backbone(
        "ResNet50V2",
        "signed",
        f"resnet/resnet50v2_{_KERNELS}_notop.h5",
        "fac2f116257151a9d068a22e544a4917",
    ),
    "vgg16": Backbone(
        "VGG16", "caffe", f"vgg16/vgg16_{_KERNELS}_notop.h5", "6d6bbae143d832006294945121d1f1fc"
    ),
}
"""By the names that `--backbone` takes."""


def named(name: str) -> str:
    """The key of `BACKBONES` that people mean by a name: `MobileNetV2` and `mobilenet-v2` are one.

    Raises:
        UsageError: there is none; the nearest is named.
    """
    plain = name.lower().replace("-", "").replace("_", "")
    if plain not in BACKBONES:
        raise UsageError(unknown("backbone", name, BACKBONES))
    return plain


def factor(image_shape: tuple[int, ...], enlarge: int = 0) -> int:
    """How many times pictures are enlarged inside a backbone; by default until a side has `LEAST` pixels."""
    return enlarge or max(1, -(-LEAST // min(image_shape[:2])))


def _plain(
    name: str,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: DataFormat = "channels_last",
    enlarge: int = 0,
    dropout: float = heads.DROPOUT,
) -> keras.Model:
    return _built(name, image_shape, classes, data_format, enlarge, dropout)


def _mobile(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    data_format: DataFormat = "channels_last",
    alpha: float = 1.0,
    enlarge: int = 0,
    dropout: float = heads.DROPOUT,
) -> keras.Model:
    return _built("mobilenetv2", image_shape, classes, data_format, enlarge, dropout, alpha=alpha)


BUILDERS: dict[str, Callable[..., keras.Model]] = {
    PREFIX + name: _mobile if name == "mobilenetv2" else functools.partial(_plain, name) for name in BACKBONES
}
"""Builders as `models.BUILDERS` has them. Options: `enlarge`, how many times pictures are enlarged inside, 0
for as many as `LEAST` asks for; `dropout` of the head; and for MobileNetV2 its width `alpha`."""


def _built(
    name: str,
    image_shape: tuple[int, int, int],
    classes: int,
    data_format: DataFormat,
    enlarge: int,
    dropout: float,
    **width: float,
) -> keras.Model:
    if enlarge < 0:
        raise UsageError(f"enlarge must be 0 or more. Received: enlarge={enlarge}")
    known, times = BACKBONES[name], factor(image_shape, enlarge)
    with _exactly() as precision:
        inputs = keras.Input(image_shape, name="image")
        x = inputs
        if known.scaling == "signed":
            x = keras.layers.Rescaling(1 / 127.5, -1.0, name="scaling")(x)
        elif known.scaling == "caffe":
            x = keras.layers.Normalization(mean=_MEANS, variance=[1.0] * 3, name="scaling")(x)
        if times > 1:
            x = keras.layers.UpSampling2D(times, interpolation="bilinear", name="enlarging")(x)
        network = getattr(keras.applications, known.network)
        below = network(
            include_top=False, weights=None, input_tensor=x, input_shape=x.shape[1:], pooling="avg", **width
        )
        model = keras.Model(inputs, heads.attach(below.output, classes, dropout), name=name)
    if data_format == "channels_last" and precision == "float32":
        return model
    return relaid(model, data_format, precision)


@contextlib.contextmanager
def _exactly() -> Iterator[str]:
    """Builds layers in float32; gives the precision that was asked for, which `relaid` brings them to."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield before.name
    finally:
        keras.config.set_dtype_policy(before)


def file_of(name: str, side: int, alpha: float = 1.0) -> str:
    """Keras' file of ImageNet weights for pictures of `side` pixels, below its server."""
    return BACKBONES[name].file.format(alpha=float(alpha), side=side if side in _SIDES else _SIDES[-1])


def home() -> Path:
    """Where Keras keeps weights that it has downloaded: $KERAS_HOME/models, by default ~/.keras/models."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def find(name: str, side: int, alpha: float = 1.0) -> Path:
    """Keras' own file of ImageNet weights, where it lies already.

    Args:
        name: a key of `BACKBONES`.
        side: of the pictures as the network gets them, in pixels.
        alpha: width of MobileNetV2.

    Raises:
        DataError: it is not there, or is another file; the message says where to get it and where to put it.
    """
    file, digest = file_of(name, side, alpha), BACKBONES[name].digest
    path = home() / Path(file).name
    kind = "MD5" if len(digest) == 32 else "SHA-256"
    told = f" ({kind} {digest})" if digest else ""
    cure = (
        f"Put {_SERVER}{file}{told} there, or name a copy with --weights FILE; --weights imagenet downloads "
        "it, --weights none starts from nothing."
    )
    if not path.is_file():
        raise DataError(f"No weights for {name}: {path} does not exist. {cure}")
    if digest and (found := _digest(path, len(digest))) != digest:
        raise DataError(f"{path} is not Keras' file. {cure} Received: {found}")
    return path


def fetch(name: str, side: int, alpha: float = 1.0) -> Path:
    """As `find`, downloading the file to where Keras itself would put it.

    Raises:
        DataError: it cannot be downloaded.
    """
    file, digest = file_of(name, side, alpha), BACKBONES[name].digest
    try:
        home().mkdir(parents=True, exist_ok=True)  # else Keras takes a folder in /tmp
        with contextlib.redirect_stdout(io.StringIO()):  # Keras draws a bar of its own
            found = keras.utils.get_file(
                Path(file).name,
                _SERVER + file,
                cache_dir=str(home().parent),
                cache_subdir=home().name,
                file_hash=digest or None,
            )
    except Exception as error:  # Keras raises that very class where the server cannot be reached
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{_SERVER}{file} could not be downloaded: {reason} Fetch it elsewhere and put it into {home()}, "
            "or name a copy with --weights FILE."
        ) from error
    return Path(found)


def _digest(path: Path, length: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5" if length == 32 else "sha256").hexdigest()


def read(name: str, path: Path, body: keras.Model, alpha: float = 1.0) -> list[np.ndarray]:
    """Weights for a backbone, from a file.

    Args:
        name: a key of `BACKBONES`.
        path: weights as Keras' network without a head saves them (.h5, .weights.h5), or a whole model of it
            (.keras), with a head or without.
        body: of a model from `BUILDERS` that shall take them.
        alpha: width of MobileNetV2.

    Returns:
        In the order of `body.get_weights()`.

    Raises:
        DataError: the file cannot be read, or holds other weights.
    """
    try:
        found = _weights(name, path, alpha)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} {_unfit(name)} {reason}") from error
    wanted = [value.shape for value in body.get_weights()]
    found = found[: len(wanted)]  # a head comes last
    if [value.shape for value in found] != wanted:
        raise DataError(f"{path} {_unfit(name)} Received: weights={len(found)} of other shapes")
    if BACKBONES[name].scaling == "caffe":
        # Caffe's networks take blue, green, red. Turned round once here, the pictures need not be.
        found[0] = found[0][:, :, ::-1]
    return found


def _weights(name: str, path: Path, alpha: float) -> list[np.ndarray]:
    if path.suffix == ".keras":
        return keras.models.load_model(path, compile=False, safe_mode=True).get_weights()
    width = {"alpha": alpha} if name == "mobilenetv2" else {}
    network = getattr(keras.applications, BACKBONES[name].network)(
        include_top=False, weights=None, input_shape=(LEAST, LEAST, 3), pooling="avg", **width
    )
    with warnings.catch_warnings():  # of what Keras passes over on its way to an error
        warnings.simplefilter("ignore")
        network.load_weights(path)
    return network.get_weights()


def _unfit(name: str) -> str:
    return (
        f"cannot be used as weights of {name}. Expected: a file such as {Path(file_of(name, 224)).name}, "
        f"saved by keras.applications.{BACKBONES[name].network}(include_top=False) of the same width."
    )


def describe(name: str, image_shape: tuple[int, ...], enlarge: int = 0) -> str | None:
    """What is done to pictures inside a backbone, in a sentence; None where nothing is."""
    times, side = factor(image_shape, enlarge), min(image_shape[:2])
    if times == 1:
        return None
    return (
        f"Inside {name} pictures are enlarged {times} times, from {side} to {times * side} pixels a side; "
        "another factor: --set model_options.enlarge=N."
    )
