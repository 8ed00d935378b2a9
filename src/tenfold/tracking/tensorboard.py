"""TensorBoard's event files, in the folder tensorboard/ of a run; `tensorboard --logdir runs` shows them."""

import contextlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tenfold.evaluation import sentence
from tenfold.runs import Run
from tenfold.tracking.facts import Row, final, settings_of

FOLDER = "tensorboard"
"""Of the run folder."""

_MOST_CLASSES = 20  # that a table of confusions has room for


@contextlib.contextmanager
def opened(run: Run, done: int) -> Iterator[Callable[[Row], None]]:
    """A function that writes an epoch's values, each as a curve of its own.

    Args:
        run: takes the folder.
        done: epochs that an earlier process has finished; what it told of later ones does not count any more.
    """
    goes_on = (run.path / FOLDER).exists()
    writer = _writer(run, **({"purge_step": done + 1} if goes_on else {}))

    def tell(row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name, value, int(row["epoch"]))
        writer.flush()

    with contextlib.closing(writer):
        yield tell


def conclude(run: Run) -> None:
    """Writes the final scores of a run beside its settings, and the confusion matrix as text."""
    with contextlib.closing(_writer(run)) as writer:
        scores = run.scores("validation")
        if scores is not None:
            writer.add_text("validation", page(scores))
        values = {f"final/{name}": value for name, value in final(run).items()}
        writer.add_hparams(settings_of(run.config), values, run_name=".")


def page(scores: Mapping[str, Any]) -> str:
    """The scores of a split as Markdown, with the confusion matrix as a table where it has room."""
    names = [name.replace("|", "\\|") for name in scores["class_names"]]
    lines = [sentence(scores)]
    if len(names) <= _MOST_CLASSES:
        lines += ["", "True classes down, predicted classes across:", "", f"| | {' | '.join(names)} |"]
        lines.append(f"|---|{'--:|' * len(names)}")
        lines += [
            f"| {name} | {' | '.join(map(str, row))} |"
            for name, row in zip(names, scores["confusion"], strict=True)
        ]
    return "\n".join(lines)


def _writer(run: Run, **options: Any) -> Any:
    # TensorBoard takes its file functions from TensorFlow where that is installed, seconds and hundreds of
    # megabytes, unless it finds this module.
    name = "tensorboard.compat.notf"
    sys.modules.setdefault(name, types.ModuleType(name))
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run.path / FOLDER), **options)
