"""The model card: what people should know before they use a model, in a file that model hubs read.

All of it comes from the run folder, so a card costs nothing but its writing, and says so where something was
not measured. The headings are those of M. Mitchell et al., "Model Cards for Model Reporting",
arXiv:1810.03993.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import tenfold
from tenfold import engines, records, robustness
from tenfold.evaluation import sentence
from tenfold.reporting import alarms, closer, facts, views
from tenfold.reporting.facts import Facts
from tenfold.runs import Run

NAME = "exports/model_card.md"
"""Where a run keeps its card."""

_NO_MODEL = {"model_card.md", "parity.json", "bench.json", "bench.svg", "bench.png"}
_MOST = 3  # classes, and kinds of mistakes, that are named


@dataclass(frozen=True)
class Data:
    """What is known of a data set beyond what the run saw.

    Attributes:
        title: its name.
        hub: its name among the data sets of the Hugging Face hub; empty where it has none.
        origin, license, ethics, caveat: sentences; empty where there is nothing to say.
    """

    title: str
    hub: str = ""
    origin: str = ""
    license: str = ""
    ethics: str = ""
    caveat: str = ""


_ORIGIN = (
    'A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; hand-checked pictures '
    "from the web"
)
_LICENSE = "its authors state none; *to be judged* by whoever passes the model on"
_ETHICS = (
    "The pictures were taken from the collection *80 Million Tiny Images*, which its makers withdrew in 2020 "
    "because of offensive labels and pictures in other parts of it."
)
_KNOWN = {
    "cifar10": Data(
        "CIFAR-10",
        "uoft-cs/cifar10",
        _ORIGIN,
        _LICENSE,
        _ETHICS,
        "About 3 % of CIFAR-10's test pictures have a near duplicate among its training pictures (B. Barz, "
        "J. Denzler, arXiv:1902.00423), which makes test scores a little too kind. `tenfold doctor cifar10` "
        "lists them, and `--exclude` leaves the training copies out.",
    ),
    "cifar100": Data("CIFAR-100", "uoft-cs/cifar100", _ORIGIN, _LICENSE, _ETHICS),
    "digits": Data("The handwritten digits of scikit-learn"),
}


@dataclass(frozen=True)
class File:
    """One file, or folder, that holds the model.

    Attributes:
        name: of the file beside the card, or its path from there.
        bytes: its size, all files of a folder together.
        sha256: of the file; of a folder, over the names and hashes of its files.
        parity: how its answers compare with the model's, in words.
    """

    name: str
    bytes: int
    sha256: str
    parity: str


@dataclass(frozen=True)
class Weak:
    """Where a model errs most, in words, on the pictures of `split`: classes, and kinds of mistakes."""

    split: str
    hardest: Sequence[str]
    confusions: Sequence[str]


def write(run: Run, license: str | None = None) -> Path:
    """Writes a run's `exports/model_card.md` anew.

    The card is Markdown below a head of YAML, as model hubs read it: it can go up as README.md as it is. The
    licence of the card before is kept.

    Args:
        run: a finished run.
        license: of the model, as an identifier of the hub, such as "mit" or "cc-by-4.0".

    Returns:
        The card's path.

    Raises:
        DataError: the run has no model, or its settings cannot be read.
        ResourceError: the folder cannot be written to.
    """
    return run.write(NAME, card(run, license or _license_before(run)))


def card(run: Run, license: str = "unknown") -> str:
    """The text of a run's model card; arguments and errors as for `write`."""
    known, record = facts.read(run), records.record(run)
    data = _data(known)
    scores, bench = known.scores, _json(run.path / "exports" / "bench.json")
    validation = scores.get("validation", {})
    files = _files(run)
    text = _template().render(
        front=msgspec.yaml.encode(_front(known, data, license)).decode(),
        facts=known,
        record=record,
        data=data,
        license=license,
        version=tenfold.__version__,
        size=known.data.get("image_size"),
        options=", ".join(f"{name}={value}" for name, value in record.config.model_options.items()),
        made_on=next((event["at"][:10] for event in known.events if "at" in event), None),
        headline=sentence(next(iter(scores.values()))) if scores else "",
        onnx=[file.name for file in files if file.name == "model.onnx"],
        files=files,
        validation=validation,
        offers=closer.offers(validation["coverage"]) if "coverage" in validation else [],
        answered=[
            (split, found["answered"])
            for split, found in scores.items()
            if split != "validation" and found.get("answered")
        ],
        sturdy=robustness.sentence(known.robustness) if known.robustness else "",
        looks=[look for look in known.looks if look.get("split") == "test" and "at" in look],
        left_out=_left_out(known),
        weak=_weak(scores),
        rivals=_rivals(known),
        alarms=alarms.find(known),
        bench=bench,
        speeds=[row for row in bench.get("rows", ()) if row.get("latency_p50")],
    )
    return re.sub(r"\n{3,}", "\n\n", text)  # where a part has nothing to say


def _front(known: Facts, data: Data, license: str) -> dict[str, Any]:
    """The head that model hubs read; see https://huggingface.co/docs/hub/model-cards."""
    recipe = [known.config.recipe] if known.config else []
    head: dict[str, Any] = {
        "license": license,
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "keras", "tenfold", *recipe],
        "metrics": ["accuracy"],
    }
    if data.hub:
        head["datasets"] = [data.hub]
    results = [
        {
            "task": {"type": "image-classification", "name": "Image classification"},
            "dataset": {
                "type": data.hub or known.data.get("kind", "own"),
                "name": data.title,
                "split": split,
            },
            "metrics": [{"type": "accuracy", "value": round(found["accuracy"], 4), "name": "Accuracy"}],
        }
        for split, found in known.scores.items()
        if split in ("test", "validation")
    ]
    return head | ({"model-index": [{"name": known.name, "results": results}]} if results else {})


def _license_before(run: Run) -> str:
    """The licence that the card of before names."""
    try:
        head = (run.path / NAME).read_text(encoding="utf-8").split("---\n")[1]
        return str(msgspec.yaml.decode(head)["license"])
    except (OSError, UnicodeDecodeError, IndexError, KeyError, TypeError, msgspec.DecodeError):
        return "unknown"


def _data(known: Facts) -> Data:
    kind = str(known.data.get("kind", "")).partition("-")[0]
    # A folder of the user's own may be called as it likes, and bear a name that tells more than it should.
    return _KNOWN.get(kind) or Data(Path(str(known.data.get("source", "data of one's own"))).name)


def _left_out(known: Facts) -> str:
    gone = known.splits.get("excluded") or {}
    return " and ".join(f"{len(ids):,} {split} pictures" for split, ids in gone.items() if ids)


def _files(run: Run) -> list[File]:
    folder = run.path / "exports"
    parity = _json(folder / "parity.json")
    exported = sorted(folder.iterdir()) if folder.is_dir() else []
    places = [path for path in exported if path.name not in _NO_MODEL and not path.name.startswith(".")]
    return [
        File("../model.keras", *_measured(run.model_path), "the model itself"),
        *(
            File(path.name, *_measured(path), _part_of(path) or _compared(parity.get(path.name)))
            for path in places
        ),
    ]


def _part_of(path: Path) -> str:
    """Says so where a file is the second half of an export: OpenVINO keeps weights beside its .xml."""
    whole = path.with_suffix(".xml")
    return f"part of {whole.name}" if path.suffix == ".bin" and whole.exists() else ""


def _measured(path: Path) -> tuple[int, str]:
    """Size and hash of a file, or of a folder with all that is in it."""
    if path.is_file():
        return path.stat().st_size, engines.digest(path)
    inside = sorted(each for each in path.rglob("*") if each.is_file())
    lines = [f"{each.relative_to(path).as_posix()} {engines.digest(each)}\n" for each in inside]
    return sum(each.stat().st_size for each in inside), hashlib.sha256("".join(lines).encode()).hexdigest()


def _compared(found: Any) -> str:
    """An entry of `parity.json` in words; it may be of another version, or missing."""
    try:
        share = f"{found['agreement']:.2%}".replace("%", " %")
        return (
            f"the model's class for {share} of {found['pictures']:,} {found['split']} pictures, "
            f"probabilities within {found['difference']:.2g}, in {found['runtime']}"
        )
    except (KeyError, TypeError, ValueError):
        return "not recorded"


def _weak(scores: Mapping[str, Mapping[str, Any]]) -> Weak | None:
    """The hardest classes and commonest confusions on the split that says most."""
    if not scores:
        return None
    split, found = next(iter(scores.items()))
    matrix, names = np.asarray(found["confusion"], np.int64), found["class_names"]
    shown, right = matrix.sum(axis=1), matrix.diagonal()
    bounds = [f"{100 * low:.1f} to {_percent(high)}" for low, high in closer.recall_intervals(matrix)]
    plain = [_plain(name) for name in names]
    order = [int(row) for row in np.argsort(right / np.maximum(shown, 1), kind="stable") if shown[row]]
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    pairs = [divmod(int(place), len(matrix)) for place in np.argsort(-wrong, axis=None, kind="stable")]
    return Weak(
        split,
        [
            f"{plain[row]} ({_percent(right[row] / shown[row])} of {shown[row]:,} right, "
            f"95 % interval {bounds[row]})"
            for row in order[:_MOST]
        ],
        [
            f"{plain[true]} taken for {plain[named]} ({wrong[true, named]:,} of {shown[true]:,})"
            for true, named in pairs[:_MOST]
            if wrong[true, named]
        ],
    )


def _rivals(known: Facts) -> str:
    rows = known.baselines.get("baselines", ())
    return ", ".join(f"{_plain(row['name'])} {_percent(row['accuracy'])}" for row in rows)


def _json(path: Path) -> dict[str, Any]:
    """A file's content; nothing where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(text: Any) -> str:
    """Words that Markdown and HTML leave as they are, on one line."""
    return " ".join(str(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").split())


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # it is Markdown; names of the user's go through `plain`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "plain": _plain,
        "percent": _percent,
        "number": lambda value: f"{value:,}",
        "duration": views.duration,
        "magnitude": views.magnitude,
    }
    return environment.get_template("modelcard.md")
