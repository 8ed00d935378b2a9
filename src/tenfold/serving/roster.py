"""The models of a server: opened from run folders or exported files, and opened anew while it runs.

A model is the run's ONNX file on the engine that `selection` measured as the fastest here, with the run's
calibration inside. Where a run has no such file yet, `tenfold export` writes it in a process of its own, so
that this one loads neither Keras nor torch.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold import abstention, engines, images, runs
from tenfold.errors import DataError, MissingExtraError, Stopped, TenfoldError, UsageError, unknown
from tenfold.prediction.answerer import exported, on_engine
from tenfold.selection import Precision
from tenfold.serving import batching
from tenfold.serving.messages import Answer, Answers, Facts, Ranked, Refusal, Reloaded, later
from tenfold.validation import sure_enough

_SAMPLES = 12
_HASH = 12  # characters of a hash are enough to tell models apart
_NAME = re.compile(r"[^/:\s]+")


@dataclass(frozen=True)
class Model:
    """One model, ready to answer.

    Attributes:
        facts: what is known about it.
        observe: uint8 (n, size, size, 3) to calibrated probabilities (n, classes) and familiarity (n,).
        samples: pictures that its run keeps, as PNG.
        card: its model card, which may or may not be there.
        reason: a sentence that says which engine answers and why.
        fingerprint: another one means another model.
    """

    facts: Facts
    observe: batching.ObserveFn
    samples: tuple[bytes, ...]
    card: Path | None
    reason: str
    fingerprint: str

    def read(self, picture: bytes, name: str, at_most: int) -> np.ndarray:
        """A picture file as the model takes it; see `images.read`."""
        fit: images.Fit = self.facts.fit  # type: ignore[assignment]  # text from a file; `images` checks it
        return images.read(picture, self.facts.image_size, fit, name, at_most=at_most)

    def answers(self, probabilities: np.ndarray, familiar: np.ndarray | None, top: int) -> Answers:
        """The answer to a request, with the `top` most probable classes of each picture."""
        rows = zip(probabilities, [None] * len(probabilities) if familiar is None else familiar, strict=True)
        found = [self._answer(row, like, top) for row, like in rows]
        return Answers(self.facts.name, self.facts.run, found)

    def _answer(self, probabilities: np.ndarray, familiar: float | None, top: int) -> Answer:
        best = np.argsort(-probabilities, kind="stable")[:top].tolist()
        shares = probabilities.tolist()
        ranked = [Ranked(self.facts.classes[place], round(shares[place], 6)) for place in best]
        like = None if familiar is None else float(familiar)
        confidence = shares[best[0]]
        why = abstention.doubt(confidence, like, self.facts.sure_from, self.facts.familiar_from)
        label = None if why else ranked[0].label
        rounded = None if like is None else round(like, 4)
        return Answer(label, ranked[0].probability, not why, rounded, why, ranked)


class Roster:
    """The models of a server, by name.

    Args:
        sources: run folders and ONNX files that `tenfold export` wrote, each as PATH or NAME=PATH; the first
            is the one that answers where none is named.
        runtime: "openvino", "onnxruntime", or "auto" for the one that was measured as the fastest.
        precision: as for `prediction.Predictor`.
        max_error: wanted share of wrong answers among those given, by validation pictures; the others are
            withheld. None gives every answer.
        batch_size: largest batch to warm up for.

    Raises:
        UsageError: a source is neither, two have one name, or there is no such runtime.
        MissingExtraError: no engine is installed.

    Attributes:
        ready: whether all models are open and warm.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        *,
        runtime: str = "auto",
        precision: Precision = "auto",
        max_error: float | None = None,
        batch_size: int = 64,
    ):
        if runtime != "auto":
            engines.require(runtime)
        elif not engines.available():
            raise MissingExtraError(
                "Serving needs an engine. Install one with: pip install 'tenfold[export]'"
            )
        if not sources:
            raise UsageError("Nothing to serve. Expected a run folder: tenfold serve runs/fast")
        self.ready = False
        self._sources = _named(sources)
        self._runtime, self._precision, self._max_error = runtime, precision, max_error
        self._sizes = batching.sizes(batch_size)
        self._models: dict[str, Model] = {}
        self._opening = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The names, whether the models are open yet or not."""
        return list(self._sources)

    @property
    def models(self) -> Mapping[str, Model]:
        """The open models by name, in the order in which they were asked for."""
        return self._models

    def get(self, name: str | None = None) -> Model:
        """A model, the first where no name is given.

        Raises:
            Refusal: 503 before the models are ready, 404 where there is none of that name.
        """
        if not self.ready:
            raise later("not_ready", "The models are not ready yet.", 2)
        if name is None:
            return next(iter(self._models.values()))
        if name not in self._models:
            raise Refusal(404, "unknown_model", unknown("model", name, self._models))
        return self._models[name]

    def load(self) -> None:
        """Opens and warms all models; seconds each, more where a run has to be exported first.

        Raises:
            UsageError, DataError, GateError, ...: as `prediction.Predictor`.
        """
        self.reload()
        self.ready = True

    def reload(self) -> Reloaded:
        """Opens anew what has changed since it was opened; the others stay.

        The models that answer go on until the new ones are warm, and requests that have begun end with the
        model they began with. Where one cannot be opened, all stay as they were.
        """
        with self._opening:
            found = {name: self._renewed(name, path) for name, path in self._sources.items()}
            replaced = [name for name, model in found.items() if model is not self._models.get(name)]
            self._models = found
        return Reloaded(replaced, [name for name in found if name not in replaced])

    def _renewed(self, name: str, path: Path) -> Model:
        old = self._models.get(name)
        fingerprint = _fingerprint(path)
        if old is not None and old.fingerprint == fingerprint:
            return old
        version = 1 if old is None else old.facts.version + 1
        opened = self._from_file if path.is_file() else self._from_run
        model = opened(name, path, version, fingerprint)
        side = model.facts.image_size
        for size in self._sizes:
            model.observe(np.zeros((size, side, side, 3), np.uint8))
        return model

    def _from_run(self, name: str, path: Path, version: int, fingerprint: str) -> Model:
        run = runs.open_run(path)
        # Each by itself: what is missing here would be written in this process, with Keras and torch in it.
        for kind in ("float32", "int8") if self._precision == "int8" else ("float32",):
            if exported(run, kind) is None:
                _export(run, kind)
        found = on_engine(run, self._runtime, self._precision, shared=True)
        scores = run.scores("validation") or {}
        known = abstention.familiarity(run.calibration)
        sure_from = None if self._max_error is None else sure_enough(run, self._max_error).confidence
        samples = _samples(run)
        card = path / "exports" / "model_card.md"
        facts = Facts(
            name=name,
            version=version,
            run=engines.digest(run.model_path)[:_HASH],
            classes=list(run.class_names),
            image_size=run.data["image_size"],
            fit=run.config.fit,
            engine=found.engine,
            precision=found.precision,
            accuracy=scores.get("accuracy"),
            accuracy_interval=scores.get("accuracy_interval"),
            sure_from=sure_from,
            familiar_from=None if known is None else known.least,
            card=card.is_file(),
            samples=len(samples),
        )
        return Model(facts, found.observe, samples, card, found.reason, fingerprint)

    def _from_file(self, name: str, path: Path, version: int, fingerprint: str) -> Model:
        if self._max_error is not None:
            raise UsageError(
                f"{path} has no validation pictures to choose a confidence on. Expected: a run folder, or a "
                "file written with tenfold export --max-error. Received: max_error too"
            )
        engine = self._runtime if self._runtime != "auto" else engines.available()[0]
        precision = "int8" if self._precision == "int8" else "float32"
        opened = engines.open_file(path, engine, precision, shared=True)
        told = opened.metadata
        if not {"class_names", "image_size", "fit", "source_sha256"} <= set(told):
            raise DataError(f"{path} does not tell its classes. Expected a file of: tenfold export RUN")
        sure_from, familiar_from = (
            float(told[key]) if key in told else None for key in ("sure_from", "familiar_from")
        )
        facts = Facts(
            name=name,
            version=version,
            run=told["source_sha256"][:_HASH],
            classes=json.loads(told["class_names"]),
            image_size=int(told["image_size"]),
            fit=told["fit"],
            engine=opened.name,
            precision=opened.precision,
            accuracy=None,
            accuracy_interval=None,
            sure_from=sure_from,
            familiar_from=familiar_from,
            card=False,
            samples=0,
        )
        reason = f"{opened.name} in {opened.precision}, not measured for want of pictures."
        return Model(facts, opened.observe, (), None, reason, fingerprint)


def _named(sources: Sequence[str | Path]) -> dict[str, Path]:
    """Sources by name; each is looked at, so that a wrong one is told before anything starts."""
    found: dict[str, Path] = {}
    for source in sources:
        path, name = Path(source), ""
        if not path.exists() and "=" in str(source):
            name, _, rest = str(source).partition("=")
            path = Path(rest)
        if not path.is_file():
            runs.open_run(path)  # says what there is instead
        name = name or (path.stem if path.is_file() else path.resolve().name)
        if not _NAME.fullmatch(name):
            raise UsageError(
                "A name of a model goes into addresses. Expected: no space, colon or slash. Received: "
                f"name={name!r}. Give another: tenfold serve NAME=PATH"
            )
        if name in found:
            raise UsageError(
                f"Two models have one name. Received: {name} for {found[name]} and {path}. "
                "Name one of them: tenfold serve NAME=PATH"
            )
        found[name] = path
    return found


def _fingerprint(path: Path) -> str:
    if path.is_file():
        return engines.digest(path)
    run = runs.Run(path)
    calibration = json.dumps(run.calibration, sort_keys=True)
    return engines.digest(run.model_path) + hashlib.sha256(calibration.encode()).hexdigest()


def _export(run: runs.Run, precision: str) -> None:
    """Runs `tenfold export`; what it complains about becomes an error of the same kind here."""
    words = ["-m", "tenfold", "export", str(run.path), "--format", "onnx", "--precision", precision]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=pipe, text=True
    ) as child:
        os.setpriority(os.PRIO_PROCESS, child.pid, 10)  # requests come first
        told = child.communicate()[1]
    if child.returncode:
        kinds = {kind.exit_code: kind for kind in TenfoldError.__subclasses__() if kind is not Stopped}
        said = (told.strip().splitlines() or [f"tenfold export {run.path} failed."])[-1]
        raise kinds.get(child.returncode, TenfoldError)(said.removeprefix("tenfold: "))


def _samples(run: runs.Run) -> tuple[bytes, ...]:
    """Some pictures that the run keeps, of many classes; none of the test split."""
    held = run.gallery("validation")
    kept = held or run.gallery("train")
    if kept is None:
        return ()
    pictures = kept[0]
    if held:
        # The right answers, six of each class, stand at the end; what comes before are mistakes.
        pictures = pictures[-6 * len(run.class_names) :]
    places = np.unique(np.linspace(0, len(pictures) - 1, _SAMPLES).round().astype(int))
    return tuple(images.encode_png(pictures[place]) for place in places)
