"""Write a run's model as portable files, checked on real pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tenfold.cli import backends, faults
from tenfold.errors import DataError

if TYPE_CHECKING:
    from tenfold.runs import Run


@dataclass(frozen=True)
class Options:
    """Write a run's model as files for other programs: uint8 pictures in, probabilities out.

    Scaling, softmax, calibration and class names are inside. A file is kept only if it answers 2,048
    validation pictures as the model does, in the runtime of its own format; the figures go to parity.json.
    The model card, model_card.md, is written beside them.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    format: tuple[Literal["onnx", "saved_model", "litert", "openvino", "torch", "keras", "html"], ...] = (
        "onnx",
    )
    """Kinds of file, one or several. TensorFlow writes saved_model and litert; html is a page that answers by
    itself in any browser."""
    views: Literal["none", "flip", "shift"] = "none"
    """Put the mean of several views of each picture inside: more often right, as many times slower."""
    precision: Literal["float32", "int8"] = "float32"
    """`int8`, for onnx, openvino, litert and html: 8-bit integers, with ranges from 512 training pictures.
    Smaller, and faster on processors with instructions for it; kept if 99 % of validation pictures get the
    model's class and (but for html) at most 0.5 points of accuracy are lost."""
    int8: bool = False
    """The same as --precision int8."""
    max_error: str | None = None
    """Another output, `sure`, says which answers to give so that at most this share of them is wrong, such
    as 2%, by the run's validation pictures."""
    output: Path | None = None
    """File to write, instead of one in the run's exports/; for one format."""


def run(options: Options) -> int:
    """Writes the files; prints the path of each, and on stderr how its answers compare with the model's."""
    backends.choose()
    from tenfold import config, exporting, runs

    opened = runs.open_run(options.run)
    with faults.logged(opened.path):
        for made in exporting.exports(
            opened,
            options.format,
            views=options.views,
            precision="int8" if options.int8 else options.precision,
            max_error=None if options.max_error is None else config.share(options.max_error),
            path=options.output,
        ):
            print(made.path, flush=True)
            if made.parity is not None:
                faults.say(f"{made.path.name}: {made.parity}.")
        if options.output is None:
            _card(opened)
    return 0


def _card(run: "Run") -> None:
    """Writes the model card beside the files; a run of an old version may lack what one needs."""
    from tenfold import modelcard

    try:
        modelcard.write(run)
    except DataError as error:
        faults.say(f"No model card was written. {error}")
