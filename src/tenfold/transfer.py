"""A new head on a network that has learnt before, and then its upper layers too.

The network is a backbone of Keras Applications or that of an earlier run. First the head alone learns, from
features that are computed once; then, where the settings let some layers of the network learn, these do so
with the head, at a lower rate. In this order they are not bent by a head that knows nothing yet (Kumar et
al., "Fine-Tuning can Distort Pretrained Features", arXiv:2202.10054).
"""

import dataclasses
from pathlib import Path

import keras

from tenfold import checkpoint, engines, layers, models, preparation, records, runs
from tenfold.callbacks import Listener
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.errors import DataError, UsageError
from tenfold.models import backbones, heads, layout
from tenfold.runs import Run

_UNCOUNTED = ("scaling", "enlarging", "layout", heads.DEPTHS)  # beside a network, with nothing to learn


def settle(settings: Config, reason: str) -> tuple[Config, str]:
    """Settings with the architecture decided, and the reason for their precision.

    Args:
        settings: as `preparation.resolve` leaves them.
        reason: for their precision.

    Raises:
        UsageError: no such backbone or run, or settings that contradict each other.
        DataError: the run's model cannot be read.
    """
    if settings.backbone is not None:
        name = backbones.named(settings.backbone)
        model = backbones.PREFIX + name
        settings = dataclasses.replace(settings, backbone=name, model=model, small_pictures=0.0)
    elif settings.from_run is not None:
        settings = _like(settings, settings.from_run)
    if not settings.transfers:
        return settings, reason
    settings = dataclasses.replace(settings, candidates=1)
    if settings.finetunes:
        return settings, reason
    if settings.teacher is not None:
        raise UsageError(
            "A teacher is asked about pictures, and a head that learns alone sees features. Expected: no "
            f"--teacher, or --freeze N, so that other layers learn too. Received: teacher={settings.teacher}"
        )
    return dataclasses.replace(settings, precision="float32"), "a head that learns alone takes little"


def _like(settings: Config, origin: str) -> Config:
    """Settings with the architecture and the picture size of a run, or of a saved model."""
    if origin.endswith(".keras"):
        name, options, size = origin, {}, models.load(Path(origin).expanduser()).input_shape[1]
    else:
        run = runs.open_run(origin)
        name, options, size = run.config.model, run.config.model_options, run.data["image_size"]
    if settings.image_size not in (None, size):
        raise UsageError(
            f"{origin} has learnt from pictures of {size} x {size} pixels. Expected: no --image-size. "
            f"Received: image_size={settings.image_size}"
        )
    options = {heads.OPTION: heads.DROPOUT, **options}
    if heads.OPTION in settings.model_options:
        options |= {heads.OPTION: settings.model_options[heads.OPTION]}
    return dataclasses.replace(
        settings, model=name, model_options=options, image_size=size, small_pictures=0.0
    )


def begin(settings: Config, dataset: Dataset, listen: Listener) -> tuple[Config, keras.Model]:
    """The model to train, with the weights of what it starts from, and settings that hold their hash.

    A run that starts from nothing gets what `preparation.build` gives.

    Args:
        settings: from `settle`, with the picture size.
        dataset: the training pictures.
        listen: told what is taken over and what learns.

    Raises:
        UsageError: the network cannot take a new head, or has no such layers.
        DataError: weights that are missing, do not fit, or are others than `settings.started_from`.
    """
    if not settings.transfers:
        return settings, preparation.build(settings, dataset)
    path = _file(settings, dataset, listen)
    sha256 = records.weights_sha256(path) if path.suffix == ".keras" else engines.digest(path)
    if settings.started_from not in (None, sha256):
        raise DataError(
            f"{path} holds other weights than this run started from. Expected: SHA-256 "
            f"{settings.started_from}. Received: {sha256}. Restore them, or --set started_from=none."
        )
    model = _fresh(settings, dataset, path)
    below = heads.body(model)
    if settings.backbone is not None:
        alpha = float(settings.model_options.get("alpha", 1.0))
        below.set_weights(backbones.read(settings.backbone, path, below, alpha))
    elif settings.model in models.EVERY:  # else they came with the architecture
        learnt = heads.body(models.load(path)).get_weights()
        if [value.shape for value in learnt] != [value.shape for value in below.get_weights()]:
            raise DataError(
                f"{path} is not what this version builds as {settings.model!r}. Expected: --from {path}, "
                f"which takes it as it is. Received: from={settings.from_run}"
            )
        below.set_weights(learnt)
    listen(_told(settings, model, path))
    return dataclasses.replace(settings, started_from=sha256), _ready(model, settings, dataset)


def again(run: Run, settings: Config, dataset: Dataset, listen: Listener) -> keras.Model:
    """The model of a run that was stopped, as it was before the first step that `state/` remembers.

    A head alone learns in seconds and always the same, so it has no state: it learns once more.
    """
    if not (settings.transfers and (run.path / checkpoint.FILE).exists()):
        return begin(settings, dataset, listen)[1]
    return _ready(_fresh(settings, dataset, run.model_path), settings, dataset)


def _file(settings: Config, dataset: Dataset, listen: Listener) -> Path:
    """Where the weights to start from lie."""
    if settings.from_run is not None:
        path = Path(settings.from_run).expanduser()
        return path if path.suffix == ".keras" else runs.open_run(path).model_path
    name, options = str(settings.backbone), settings.model_options
    shape, alpha = dataset.images.shape[1:], float(options.get("alpha", 1.0))
    times = int(options.get("enlarge", 0))
    if settings.weights not in ("auto", "imagenet"):
        path = Path(settings.weights).expanduser()
        if not path.is_file():
            raise DataError(
                f"{path} does not exist. Expected: a file of weights, imagenet or none. "
                f"Received: weights={settings.weights}"
            )
        return path
    side = backbones.factor(shape, times) * min(shape[:2])
    if settings.weights == "auto":
        return backbones.find(name, side, alpha)
    listen(f"Weights of {name}: {backbones.file_of(name, side, alpha)}, fetched if it is not there.")
    return backbones.fetch(name, side, alpha)


def _fresh(settings: Config, dataset: Dataset, path: Path) -> keras.Model:
    """The architecture with its new head, in the form that trains fastest.

    What this version builds by name comes without weights; of any other network, `path` is the architecture.
    """
    shape, classes, form = dataset.images.shape[1:], len(dataset.class_names), layers.training_format()
    if settings.model in models.EVERY:
        return models.build(
            settings.model,
            shape,
            classes,
            data_format=form,
            precision=settings.precision,
            options=settings.model_options,
        )
    source = models.load(path)
    if any(wanted not in (None, side) for wanted, side in zip(source.input_shape[1:], shape, strict=True)):
        raise UsageError(
            f"{path} takes pictures of other sizes. Expected: {source.input_shape[1:]}. Received: {shape}"
        )
    whole = heads.renewed(source, classes, float(settings.model_options[heads.OPTION]))
    made = models.rebuilt(whole, form, settings.precision)
    return layout.remember(made, whole, []) if made is whole else made


def _ready(model: keras.Model, settings: Config, dataset: Dataset) -> keras.Model:
    """`model` with its layers frozen as the settings say, compiled for what is learnt beside the head.

    Batch norm below the head keeps the statistics it came with: those of a few new pictures would spoil them.
    """
    counted = _counted(model, settings)
    frozen = len(counted) if settings.freeze is None else settings.freeze
    if settings.finetunes and frozen >= len(counted):
        raise UsageError(
            f"The network has {len(counted)} layers. Expected: --freeze from 0 to {len(counted) - 1}, or "
            f"none where the head alone shall learn. Received: freeze={settings.freeze}"
        )
    names = {each.name for layer in counted[:frozen] for each in layer._flatten_layers()}
    for layer in heads.body(model)._flatten_layers(include_self=False):
        if layer.name in names or isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    tuned = dataclasses.replace(
        settings, learning_rate=settings.finetune_rate, epochs=settings.finetune_epochs
    )
    return preparation.compiled(model, tuned, len(dataset))


def _counted(model: keras.Model, settings: Config) -> list[keras.Layer]:
    """The layers that `freeze` counts: those below the head, the input first, as the network was written.

    A network that trains in a form of its own may have one layer for several of them; of these, those that
    hold weights are given as that one.
    """
    written = layout.original(model)
    if written is not None or layers.training_format() == "channels_last":
        return _below(written or model)
    shape, classes = model.input_shape[1:], model.output_shape[-1]
    written = models.build(settings.model, shape, classes, options=settings.model_options)
    holders = {id(weight): layer for layer in model.layers for weight in layer.weights}
    twins = {id(weight): twin for weight, twin in zip(written.weights, model.weights, strict=True)}
    return [holders[id(twins[id(layer.weights[0])])] if layer.weights else layer for layer in _below(written)]


def _below(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in heads.body(model).layers if not layer.name.startswith(_UNCOUNTED)]


def _told(settings: Config, model: keras.Model, path: Path) -> str:
    """What is taken over and what learns, in words."""
    count = len(_counted(model, settings))
    begun = f"Starts from {path}: {count} layers, {heads.features(model).shape[-1]:,} features, a new head."
    inside = None
    if settings.backbone is not None:
        times = int(settings.model_options.get("enlarge", 0))
        inside = backbones.describe(settings.backbone, model.input_shape[1:], times)
    learns = (
        f"The head learns for {settings.epochs} epochs from features that are computed once, so augmentation "
        "does not apply to it, but for mirror images of few pictures"
    )
    if settings.finetunes:
        learns += (
            f"; then all but the first {settings.freeze} layers learn too, for {settings.finetune_epochs} "
            f"epochs at a rate of {settings.finetune_rate:g}"
        )
    return " ".join(part for part in (begun, inside, f"{learns}.") if part)
