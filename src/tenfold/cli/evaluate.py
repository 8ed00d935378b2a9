"""Score a run on its validation or test pictures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tenfold.cli import backends, faults
from tenfold.cli.progress import Progress, percent

if TYPE_CHECKING:
    from tenfold.datasets import Dataset
    from tenfold.evaluation import Evaluation
    from tenfold.inspection import Part

_WIDEST_MATRIX = 20


@dataclass(frozen=True)
class Options:
    """Score a run: loss, accuracy with its 95 % interval, top-k, precision, recall and F1 of every class.

    The test split is for the end: every look at it is dated and counted in the run's ledger.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    split: Literal["validation", "test", "train"] = "validation"
    """Which pictures to score on."""
    data: str | None = None
    """Score on pictures from elsewhere, classes matched by name: a folder, or whatever `train` takes."""
    topk: tuple[int, ...] = (3, 5)
    """Also count pictures whose true class is among the K most probable."""
    views: Literal["none", "flip", "shift"] = "none"
    """Also score the mean of several views of each picture: mirrored, or mirrored and moved by a pixel."""
    max_error: str | None = None
    """Also tell what comes of withholding answers so that at most this share of those given is wrong on
    validation, such as 2%."""
    engine: backends.EngineName = "auto"
    """What computes the answers. `auto`: the fastest one installed; Keras where --backend is given."""
    precision: Literal["float32", "auto", "int8"] = "float32"
    """float32 scores alike on every machine; `auto` takes bfloat16 where that is faster and close.
    `int8` scores what `predict --precision int8` answers."""
    robustness: bool = False
    """Also score pictures gone bad: 19 corruptions at five strengths, shifts, rotations, scales. Minutes."""
    baselines: bool = False
    """Also score what needs no network: the commonest class, neighbours and regression on pixels."""
    heat_maps: bool = False
    """Also draw, for the report, what spoke for the wrong class in the mistakes it was surest of."""
    full: bool = False
    """All three of them."""
    json: bool = False
    """Print the scores as one JSON object."""
    backend: Literal["auto", "torch", "tensorflow", "jax"] = "auto"
    """Keras backend. `auto`: KERAS_BACKEND where set, else torch."""


def run(options: Options) -> int:
    """Evaluates, prints and renews the report."""
    backends.choose(options.backend)
    from tenfold import config, reporting, runs
    from tenfold.prediction import Predictor

    opened = runs.open_run(options.run)
    with faults.logged(opened.path):
        engine = backends.engine(options.engine, options.backend)
        wanted = None if options.max_error is None else config.share(options.max_error)
        predictor = Predictor(opened, engine=engine, precision=options.precision, max_error=wanted)
        closer: dict[str, str] = {}
        parts = _parts(options)

        def also(evaluation: "Evaluation", dataset: "Dataset") -> None:
            from tenfold.inspection import inspect

            quick = Predictor(opened, engine=engine) if "robustness" in parts else predictor
            with Progress("quiet" if options.json else "human") as shown:
                progress = partial(shown.count, "robustness")
                closer.update(inspect(opened, quick.predict, evaluation, dataset, parts, progress=progress))

        evaluation, looks = predictor.evaluate(
            options.split,
            data=options.data,
            top_k=options.topk,
            views=options.views,
            precision=options.precision,
            **({"also": also} if parts else {}),
        )
        if options.json:
            computed = {"engine": predictor.engine, "precision": predictor.precision}
            found = {**evaluation.to_dict(), **computed, **closer, "looks": looks}
            print(json.dumps(found, ensure_ascii=False))
        else:
            print("\n".join([*lines(evaluation.to_dict()), *([looks] if looks else [])]))
            for part, sentence in closer.items():
                print(f"{part.capitalize().replace('-', ' ')}: {sentence}.")
            print(f"Engine: {predictor.reason}")
        page = reporting.report(opened)
        if not options.json:
            print(f"Report: {page}")
    return 0


def _parts(options: Options) -> list["Part"]:
    asked: dict[Part, bool] = {
        "robustness": options.robustness,
        "baselines": options.baselines,
        "heat-maps": options.heat_maps,
    }
    return [part for part, wanted in asked.items() if wanted or options.full]


def lines(scores: Mapping[str, Any]) -> list[str]:
    """An evaluation as text for people, from what `<split>.json` holds."""
    from tenfold.evaluation import sentence

    loss = f"loss {scores['loss']:.4f}"
    if told := scores.get("calibration"):
        loss += f", calibration error {percent(told['calibration_error'])}, Brier score {told['brier']:.4f}"
    if averaged := scores.get("views"):
        loss += f"; by the mean of views {averaged['loss']:.4f}"
    shown = [sentence(scores), loss]
    shown += [f"top-{k} accuracy {percent(share)}" for k, share in scores["top_k"].items()]
    if told := scores.get("answered"):
        shown.append(
            f"answered {percent(told['coverage'])} of the pictures, {percent(told['error'])} of them wrongly "
            f"({percent(told['max_error'])} wanted), none below {percent(told['confidence'])} confidence"
        )
    shown += ["", *class_table(scores["report"]), ""]
    if len(scores["class_names"]) <= _WIDEST_MATRIX:
        shown += [*_matrix(scores["class_names"], scores["confusion"]), ""]
    return shown


def class_table(report: Mapping[str, Any]) -> list[str]:
    """scikit-learn's classification report, from its dict form."""
    left = max(len(name) for name in report)
    columns = ("precision", "recall", "f1-score", "support")
    table = [" " * left + "".join(f"{column:>11}" for column in columns)]
    for name, row in report.items():
        if not isinstance(row, Mapping):  # the accuracy, which has one number
            total = report["macro avg"]["support"]
            table += ["", f"{name:>{left}}{row:>33.3f}{total:>11,.0f}"]
            continue
        numbers = "".join(f"{row[column]:>11.3f}" for column in columns[:3])
        table.append(f"{name:>{left}}{numbers}{row['support']:>11,.0f}")
    return table


def _matrix(names: Sequence[str], rows: Sequence[Sequence[int]]) -> list[str]:
    left = max(len(name) for name in names)
    # Columns carry numbers, so that twenty classes fit a terminal; the rows say which is which.
    width = max(2, *(len(str(count)) for row in rows for count in row)) + 1
    head = "".join(f"{number:>{width}}" for number in range(len(names)))
    body = [
        f"{name:>{left}} {number:>2} " + "".join(f"{count:>{width}}" for count in row)
        for number, (name, row) in enumerate(zip(names, rows, strict=True))
    ]
    return ["Confusion matrix: true classes down, predicted classes across", " " * (left + 4) + head, *body]
