"""Write a run's model as one portable file, checked on real pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tenfold.cli import backends, faults


@dataclass(frozen=True)
class Options:
    """Write a run's model as one file for other programs: uint8 pictures in, probabilities out.

    Scaling, softmax and class names are inside. The file is kept only if it answers real pictures as the
    model does.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run, for example runs/fast."""
    format: Literal["onnx"] = "onnx"
    """Kind of file."""
    views: Literal["none", "flip", "shift"] = "none"
    """Put the mean of several views of each picture inside: more often right, as many times slower."""
    precision: Literal["float32", "int8"] = "float32"
    """`int8`: convolutions in 8-bit integers, with ranges from 512 training pictures. Faster on processors
    with instructions for it; kept if 97 % of the validation pictures get the class that float32 gives."""
    max_error: str | None = None
    """Another output, `sure`, says which answers to give so that at most this share of them is wrong, such
    as 2%, by the run's validation pictures."""
    output: Path | None = None
    """File to write, instead of one in the run's exports/."""


def run(options: Options) -> int:
    """Writes the file and prints its path."""
    backends.choose()
    from tenfold import config, exporting, runs

    opened = runs.open_run(options.run)
    with faults.logged(opened.path):
        path = exporting.export(
            opened,
            options.format,
            views=options.views,
            precision=options.precision,
            max_error=None if options.max_error is None else config.share(options.max_error),
            path=options.output,
        )
        print(path)
    return 0
