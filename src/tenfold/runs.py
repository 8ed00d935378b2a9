"""The run folder: the one place where the stages meet.

    runs/<name>/
      config.yaml        the resolved settings            command.txt   the command that made the run
      environment.json   versions, processor, threads     data.json     source, class names, sizes, hashes
      splits.json        which picture is in which split  model.keras   the kept model, preprocessing inside
      history.csv        one line an epoch                summary.json  time, speed, size, best epoch
      events.jsonl       what happened when
      validation.json    test.json                        scores of a split, with intervals
      calibration.json   how confidence becomes the share of right answers, fitted on validation
      predictions.parquet                                 one row a picture and split
      gallery/<split>.npz                                 some of the pictures, for the report
      ledger.jsonl       every look at the test pictures  state/        what `resume` needs
      robustness.json    baselines.json                   what `evaluate --full` adds
      explanations/      features/                        what `explain` drew, and what it keeps for that
      model.json         model.py  start.keras            of a model of one's own: its code or first weights
      teacher.json       state/teacher.onnx               of a student: who teaches it
      tensorboard/       mlflow.json                      where --tensorboard and --mlflow ask for them
      report.html   plots/   exports/                     engine.json   which engine answers fastest

Files are written whole or not at all: to a temporary name beside the target, then renamed.
"""

import contextlib
import csv
import datetime
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import config as configs
from tenfold.errors import DataError, ResourceError, UsageError, unknown
from tenfold.galleries import most_pictures, worth_showing


@dataclass(frozen=True)
class Run:
    """A run folder, opened. Reads happen when asked for, so a run of any age or state can be listed.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> configs.Config:
        """The settings the run was trained with."""
        return configs.from_yaml(self._text("config.yaml"), str(self.path / "config.yaml"))

    @property
    def data(self) -> dict[str, Any]:
        """`data.json`: source, path, kind, class_names, image_size, fit, counts by split, notes."""
        return json.loads(self._text("data.json"))

    @property
    def environment(self) -> dict[str, Any]:
        """`environment.json`: versions, commit, processor, threads, precision and its reason."""
        return json.loads(self._text("environment.json"))

    @property
    def splits(self) -> dict[str, Any]:
        """`splits.json`: seed, share, and for each split its count, hash and (for validation) picture ids."""
        return json.loads(self._text("splits.json"))

    @property
    def summary(self) -> dict[str, Any]:
        """`summary.json`: seconds, images_per_second, parameters, flops, epochs, best_epoch, monitor."""
        return json.loads(self._text("summary.json"))

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.data["class_names"])

    @property
    def model_path(self) -> Path:
        return self.path / "model.keras"

    @property
    def command(self) -> str:
        return self._text("command.txt").strip()

    @property
    def history(self) -> list[dict[str, float]]:
        """One dict an epoch: epoch, seconds, images_per_second, learning_rate, loss, accuracy, ..."""
        rows = csv.DictReader(io.StringIO(self._text("history.csv")))
        return [{name: float(value) for name, value in row.items() if value} for row in rows]

    @property
    def looks(self) -> list[dict[str, Any]]:
        """The ledger: one entry for every time this run looked at test pictures."""
        path = self.path / "ledger.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        entries = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):  # a line that a kill cut short
                entries.append(json.loads(line))
        return entries

    def scores(self, split: str) -> dict[str, Any] | None:
        """What `evaluate` found on a split, or None where it has not been run."""
        path = self.path / f"{split}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def calibration(self) -> dict[str, Any] | None:
        """`calibration.json`: temperature, curve and what they did; None where nothing was fitted."""
        path = self.path / "calibration.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def predictions(self, split: str) -> dict[str, Any]:
        """Per-picture predictions of a split.

        Returns:
            `ids` list of n strings; `labels` and `predicted` int (n,); `probabilities` float32 (n, classes).
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        path = self.path / "predictions.parquet"
        table = pq.read_table(path) if path.exists() else None
        if table is not None:
            table = table.filter(pc.equal(table["split"], split))
        if not table:
            cure = f"tenfold evaluate {self.path} --split {split}"
            raise DataError(f"{self.path} holds no predictions for {split}. Run: {cure}")
        flat = table["probabilities"].combine_chunks().flatten().to_numpy()
        return {
            "ids": table["id"].to_pylist(),
            "labels": table["label"].to_numpy(),
            "predicted": table["predicted"].to_numpy(),
            "probabilities": flat.reshape(len(table), -1),
        }

    def gallery(self, split: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Pictures kept for the report.

        Returns:
            uint8 images (m, h, w, 3) and int rows (m,): for "train" and "sample", the labels of the pictures;
            for other splits, each picture's row in `predictions(split)`. None where nothing was kept.
        """
        path = self.path / "gallery" / f"{split}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["images"], arrays["rows"]

    def write(self, name: str, content: str | bytes | Mapping[str, Any]) -> Path:
        """Writes one file whole: text, bytes, or a mapping as JSON. Returns its path."""
        if isinstance(content, Mapping):
            content = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if isinstance(content, str):
            content = content.encode()
        with self.replacing(name) as temporary:
            temporary.write_bytes(content)
        return self.path / name

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A temporary path to write to; it becomes `name` when the block ends well, and goes away if not."""
        target = self.path / name
        temporary = target.with_name(f".{os.getpid()}-{target.name}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, target)
        except OSError as error:
            raise ResourceError(f"Cannot write {target}: {error.strerror}. Free or unlock it.") from error
        finally:
            temporary.unlink(missing_ok=True)

    def append(self, name: str, entry: Mapping[str, Any]) -> None:
        """Adds one dated line to a .jsonl file of the run."""
        line = json.dumps({"at": _now(), **entry}, ensure_ascii=False)
        with open(self.path / name, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def save_evaluation(
        self, split: str, scores: Mapping[str, Any], predictions: Mapping[str, Any], images: np.ndarray
    ) -> None:
        """Keeps the scores of a split, its per-picture predictions, and pictures for the report.

        Args:
            split: "train", "validation" or "test".
            scores: what goes to `<split>.json`.
            predictions: as `predictions` returns them.
            images: uint8 (n, h, w, 3), the evaluated pictures in the same order; the most confident
                mistakes, some of every kind, and a few right answers of every class are kept.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        probabilities = np.asarray(predictions["probabilities"], np.float32)
        table = pa.table(
            {
                "split": [split] * len(probabilities),
                "id": list(predictions["ids"]),
                "label": np.asarray(predictions["labels"], np.int64),
                "predicted": np.asarray(predictions["predicted"], np.int64),
                "confidence": probabilities.max(axis=1),
                "probabilities": pa.FixedSizeListArray.from_arrays(
                    probabilities.ravel(), probabilities.shape[1]
                ),
            }
        )
        path = self.path / "predictions.parquet"
        if path.exists():
            old = pq.read_table(path)
            table = pa.concat_tables([old.filter(pc.not_equal(old["split"], split)), table])
        with self.replacing("predictions.parquet") as temporary:
            pq.write_table(table, temporary, compression="zstd")
        most = most_pictures(images.shape[1:])
        rows = worth_showing(predictions["labels"], predictions["predicted"], probabilities, most)
        self.save_gallery(split, images[rows], rows)
        self.write(f"{split}.json", scores)

    def save_gallery(self, split: str, images: np.ndarray, rows: np.ndarray) -> None:
        """Keeps pictures for the report; see `gallery` for what `rows` means."""
        with self.replacing(f"gallery/{split}.npz") as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, images=images, rows=rows)

    def _text(self, name: str) -> str:
        path = self.path / name
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"{path} cannot be read ({error.strerror}). Expected the folder of a finished run."
            ) from None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def create(folder: str | Path, name: str, *, exist_ok: bool = False) -> Run:
    """Makes an empty run folder `folder/name`, or `name-2`, `name-3`, ... where that exists.

    Args:
        folder: holds all runs; made when missing.
        name: the wanted name.
        exist_ok: take `name` itself even if it exists, and empty it; its ledger of test looks is kept.

    Raises:
        UsageError: the name is a path, or the existing folder is no run.
        ResourceError: no permission or no space.
    """
    if name in ("", ".", "..") or Path(name).name != name:
        raise UsageError(
            f"A run's name is one folder name. Received: name={name!r}. Expected e.g. --name fast"
        )
    folder = Path(folder).expanduser()
    path = folder / name
    number = 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not exist_ok and path.exists():
            number += 1
            path = folder / f"{name}-{number}"
        found = {entry.name for entry in path.iterdir()} if path.exists() else set()
        if found - {"ledger.jsonl"} and "config.yaml" not in found:
            raise UsageError(f"{path} exists and is no run, so it is not emptied. Choose another --name.")
        path.mkdir(exist_ok=True)
        _empty(path)
    except OSError as error:
        raise ResourceError(
            f"Cannot make the run folder {path}: {error.strerror}. Choose another place with --runs."
        ) from error
    return Run(path)


def discard(run: Run) -> None:
    """Removes a run folder that came to nothing; a ledger of test looks in it is kept."""
    with contextlib.suppress(OSError):
        _empty(run.path)
        run.path.rmdir()


def _empty(folder: Path) -> None:
    """Removes all but the ledger of test looks."""
    for old in sorted(folder.rglob("*"), reverse=True):
        if old.is_dir() and not old.is_symlink():
            old.rmdir()
        elif old != folder / "ledger.jsonl":
            old.unlink()


def open_run(path: str | Path) -> Run:
    """Opens an existing run folder.

    Raises:
        UsageError: there is no run at `path`; the nearest run beside it is named.
    """
    path = Path(path).expanduser()
    if not (path / "config.yaml").exists():
        others = [p.parent.name for p in path.parent.glob("*/config.yaml")] if path.parent.exists() else []
        raise UsageError(
            f"{path} is not a run folder. " + unknown("run", path.name, others)
            if others
            else f"{path} is not a run folder. Train one first: tenfold train"
        )
    return Run(path)


def beside(run: Run) -> list[Run]:
    """All runs in the folder that holds `run`, itself among them."""
    return [Run(path.parent) for path in sorted(run.path.parent.glob("*/config.yaml"))]
