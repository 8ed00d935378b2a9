"""Show why a run answers as it does: heat maps, and the most similar training pictures."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tenfold.cli import backends, faults
from tenfold.cli.progress import percent
from tenfold.errors import DataError, ResourceError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tenfold.explanation import Explainer, Explanation


@dataclass(frozen=True)
class Options:
    """Show why a run answers as it does: one PNG a picture, with what the model sees, what speaks for the
    class, the most probable classes and the most similar training pictures.

    Without pictures: the first filters, feature maps, and a map of the features. A picture that cannot be
    read is named on stderr and skipped; exit code 3.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    sources: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SRC")] = ()
    """Files, folders and patterns such as 'photos/*.jpg'; none for the overview."""
    method: Literal["auto", "layercam", "gradcam++", "gradcam", "occlusion"] = "auto"
    """How to find what speaks for a class. `auto`: layercam; occlusion for a model without convolutions."""
    class_: Annotated[str | None, tyro.conf.arg(name="class", metavar="NAME")] = None
    """The class to explain, instead of each picture's most probable one."""
    nearest: int = 8
    """How many similar training pictures to show."""
    topk: int = 5
    """How many classes to list for each picture."""
    output: Path | None = None
    """Folder for the PNG files. None: explanations/ in the run folder."""
    json: bool = False
    """Print one JSON object a line."""
    backend: Literal["auto", "torch", "tensorflow", "jax"] = "auto"
    """Keras backend. `auto`: KERAS_BACKEND where set, else torch."""


def run(options: Options) -> int:
    """Explains, writes and prints; 3 where any picture failed."""
    backends.choose(options.backend)
    from tenfold import runs

    opened = runs.open_run(options.run)
    with faults.logged(opened.path):
        from tenfold.explanation import Explainer

        explainer = Explainer(opened, tell=faults.say)
        folder = options.output or opened.path / "explanations"
        if not options.sources:
            _overview(explainer, folder, options.json)
            return 0
        return DataError.exit_code if _pictures(explainer, folder, options) else 0


def _pictures(explainer: "Explainer", folder: Path, options: Options) -> int:
    """Explains pictures one by one and returns how many failed."""
    from tenfold.paths import Failure
    from tenfold.reporting import heatmaps

    failed = 0
    seen: Counter[str] = Counter()
    found = explainer.files(
        options.sources,
        method=None if options.method == "auto" else options.method,
        label=options.class_,
        top=options.topk,
        nearest=options.nearest,
    )
    for item in found:
        if isinstance(item, Failure):
            failed += 1
            faults.say(item.reason)
            continue
        name = item.path.stem
        seen[name] += 1  # holiday/1.jpg and party/1.jpg
        path = _save(heatmaps.explained(item), folder, name if seen[name] == 1 else f"{name}-{seen[name]}")
        as_json = json.dumps({**item.to_dict(), "file": str(path)}, ensure_ascii=False)
        print(as_json if options.json else _line(item, path))
    return failed


def _line(item: "Explanation", path: Path) -> str:
    name, share = item.explained
    asked = "" if name == item.label else f", {name} {percent(share)}"
    return f"{item.path}: {item.label} {percent(item.confidence)}{asked} -> {path}"


def _overview(explainer: "Explainer", folder: Path, as_json: bool) -> None:
    from tenfold.reporting import heatmaps

    found = explainer.overview()
    for note in found.notes:
        faults.say(note)
    drawn: dict[str, Figure] = {}
    if found.filters is not None:
        drawn["overview-filters"] = heatmaps.filters(found.filters)
    if found.maps:
        drawn["overview-feature-maps"] = heatmaps.feature_maps(found)
    if len(found.points):
        drawn["overview-map"] = heatmaps.feature_map(found)
    files = [str(_save(figure, folder, name)) for name, figure in drawn.items()]
    print(
        json.dumps({**found.to_dict(), "files": files}, ensure_ascii=False) if as_json else "\n".join(files)
    )


def _save(figure: "Figure", folder: Path, name: str) -> Path:
    from tenfold.reporting import plots

    path = folder / f"{name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plots.png(figure))
    except OSError as error:
        raise ResourceError(f"Cannot write {path}: {error.strerror}. Choose another --output.") from error
    return path
