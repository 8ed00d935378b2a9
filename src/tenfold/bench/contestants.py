"""The forms of a run's model that a bench compares."""

from dataclasses import dataclass
from pathlib import Path

from tenfold import engines, runtimes
from tenfold.errors import DataError, UsageError
from tenfold.runs import Run


@dataclass(frozen=True)
class Contestant:
    """A form of the model: its file, the package that runs it, and how a `turn.Task` says so.

    Attributes:
        path: the file or folder.
        runtime: the package.
        format: a key of `runtimes.RUNTIMES`; empty for the run's own model and for an engine.
        engine: of `engines.ENGINES`, for an ONNX file that one of them opens; else empty.
        precision: that the engine computes in.
    """

    path: Path
    runtime: str
    format: str = ""
    engine: str = ""
    precision: str = "float32"

    @property
    def file(self) -> str:
        """Its path below the run folder."""
        return f"exports/{self.path.name}" if self.format or self.engine else self.path.name

    @property
    def bytes(self) -> int:
        """Its size: of all files that it consists of."""
        return sum(path.stat().st_size for path in runtimes.files(self.path))


def contestants(run: Run) -> list[Contestant]:
    """The model in Keras, and each export in the runtime of its format; ONNX in OpenVINO too.

    Raises:
        DataError: the run has no model.
    """
    if not run.model_path.is_file():
        raise DataError(f"{run.path} has no model. Expected: {run.model_path} of a finished run.")
    folder = run.path / "exports"
    found = [Contestant(run.model_path, "keras")]
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        form = _format(path)
        if form is None:
            continue
        runtime = runtimes.RUNTIMES[form]
        found.append(Contestant(path, runtime.package or runtime.packages[0], form))
        kinds = _kinds(path) if form == "onnx" else ()
        found += [Contestant(path, "openvino", engine="openvino", precision=kind) for kind in kinds]
    return found


def _format(path: Path) -> str | None:
    """The format of an export; None for a card, a plot, a page for the browser, or what is being written."""
    try:
        return None if path.name.startswith(".") else runtimes.format_of(path)
    except UsageError:
        return None


def _kinds(path: Path) -> tuple[str, ...]:
    """What OpenVINO computes in for an ONNX file: nothing where it is not installed or cannot open it."""
    if "openvino" not in engines.available():
        return ()
    try:
        held = engines.metadata(path).get("precision", "float32")
    except DataError:  # the file's own runtime will say why
        return ()
    return ("int8",) if held == "int8" else engines.precisions("openvino")
