"""What it takes to have a run again: its settings, what it was made from and with, and what came of it.

A `Record` is small enough to go into a model card. It holds hashes of the data and of the weights, and one
bit for each validation picture that tells whether it was answered right, so that a second run can be compared
with the first picture by picture, without the first one's folder.
"""

import base64
import dataclasses
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tenfold import config as configs
from tenfold import keepsakes
from tenfold.config import Config
from tenfold.errors import DataError, UsageError
from tenfold.runs import Run, open_run

BACKENDS = {"torch": ("torch",), "tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",)}
"""The packages of each Keras backend, by the names that `environment.json` gives them."""

_MARK = "# tenfold reproduce"
_FENCED = re.compile(rf"^```yaml\n{_MARK}.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_KEPT = (
    *("tenfold", "commit", "python", "keras", "numpy", "backend", "precision"),
    *("processor", "cores", "threads", "accelerator", "platform"),
)


@dataclass(frozen=True)
class Record:
    """What it takes to train a run again and to tell whether that succeeded.

    Attributes:
        name: of the run.
        command: that made it.
        config: its settings, resolved.
        class_names: in the order of the labels.
        splits: "train" and, where there is one, "validation": `count` and `sha256` of each.
        environment: versions, commit, processor and threads of then.
        weights: SHA-256, as `weights_sha256` gives it.
        right: bool (n,), which of the n validation pictures were answered right; None where that is unknown.
    """

    name: str
    command: str
    config: Config
    class_names: tuple[str, ...]
    splits: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]
    weights: str
    right: np.ndarray | None

    def to_yaml(self) -> str:
        """As a model card holds it, between fences; `read` takes it back from there."""
        bits = None if self.right is None else base64.b64encode(np.packbits(self.right).tobytes()).decode()
        held = {**vars(self), "class_names": list(self.class_names), "right": bits}
        return f"{_MARK} model_card.md\n{msgspec.yaml.encode(held).decode()}"


def record(run: Run) -> Record:
    """The record of a finished run.

    Raises:
        DataError: a file of it cannot be read, the model among them.
    """
    parts = {
        name: {"count": part["count"], "sha256": part["sha256"]}
        for name, part in run.splits["splits"].items()
    }
    config, place, made_with = run.config, run.data.get("path"), run.environment
    if place and not Path(config.data).expanduser().exists():  # as `splits` finds a run's data again
        config = dataclasses.replace(config, data=place)
    names = (*_KEPT, *BACKENDS.get(config.backend, ()))
    return Record(
        name=run.name,
        command=_homeless(run.command),
        config=_travelling(config),
        class_names=run.class_names,
        splits=parts,
        environment={name: made_with[name] for name in names if made_with.get(name) is not None},
        weights=weights_sha256(run.model_path),
        right=_right(run, parts.get("validation", {}).get("count", 0)),
    )


def _right(run: Run, count: int) -> np.ndarray | None:
    try:
        kept = run.predictions("validation")
    except DataError:
        return None
    right = kept["predicted"] == kept["labels"]
    return right if len(right) == count else None


def _travelling(config: Config) -> Config:
    """Settings whose paths, as all text of theirs, are without the home folder."""
    texts: dict[str, Any] = {
        name: _homeless(value) for name, value in vars(config).items() if isinstance(value, str)
    }
    return dataclasses.replace(config, **texts)


def _homeless(text: str) -> str:
    """Without the home folder, whose name a card that goes round need not tell."""
    home = str(Path.home())
    return re.sub(rf"(?<![\w/.]){re.escape(home)}(?=/|$)", "~", text) if len(home) > 1 else text


def weights_sha256(path: Path) -> str:
    """SHA-256 over the weights of a model.keras: the same exactly when they are, and found without Keras.

    The file as a whole differs at every writing, as it holds the date.

    Raises:
        DataError: it cannot be read as such a file.
    """
    import h5py

    digest = hashlib.sha256()
    found: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        # How often a dropout layer has drawn is kept beside the weights and is none of them.
        if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            found[name] = item[()]

    try:
        with zipfile.ZipFile(path) as archive:
            stored = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(stored, "r") as file:
            file.visititems(collect)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a Keras model: {error}. Expected: model.keras.") from None
    for name, values in sorted(found.items()):
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode() + values.tobytes())
    return digest.hexdigest()


def read(source: str | Path) -> Record:
    """The record of a run folder, or the one that a model card holds.

    Args:
        source: the folder, or the card's file.

    Raises:
        UsageError: there is neither.
        DataError: a card without a record, or with a damaged one; or as `record`.
    """
    path = Path(source)
    if not path.is_file():
        found = record(open_run(path))
        model = keepsakes.again(path, found.config.model)  # a model of the user's own as it was then
        return dataclasses.replace(found, config=dataclasses.replace(found.config, model=model))
    try:
        fenced = _FENCED.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}. Expected: a model card.") from None
    if fenced is None:
        raise DataError(
            f"{path} holds nothing to reproduce. Expected: a run folder, or a model card of `tenfold export` "
            f"with its block `{_MARK}`. Received: source={source}"
        )
    try:
        return _parsed(msgspec.yaml.decode(fenced[1]), str(path))
    except (msgspec.DecodeError, UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: the block `{_MARK}` is damaged: {error}. Expected: as Tenfold wrote it."
        ) from None


def _parsed(held: Mapping[str, Any], name: str) -> Record:
    count = held["splits"].get("validation", {}).get("count", 0)
    right = None
    if held["right"] is not None:
        packed = np.frombuffer(base64.b64decode(held["right"], validate=True), np.uint8)
        if len(packed) != -(-count // 8):
            raise ValueError(f"{len(packed)} bytes of answers for {count} pictures")
        right = np.unpackbits(packed, count=count).astype(bool)
    return Record(
        **{key: held[key] for key in ("name", "command", "splits", "environment", "weights")},
        config=configs.from_yaml(msgspec.yaml.encode(held["config"]).decode(), f"{name}, config"),
        class_names=tuple(held["class_names"]),
        right=right,
    )
