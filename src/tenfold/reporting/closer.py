"""What the page shows beyond scores: how sure the model is, what it bears, what it has to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.evaluation import wilson

_WANTED = (0.05, 0.02, 0.01)  # shares of wrong answers that the page offers


@dataclass(frozen=True)
class Offer:
    """What withholding answers would give: at most `wanted` wrong by leaving out all but `coverage`."""

    wanted: float
    coverage: float
    confidence: float


@dataclass(frozen=True)
class Corruption:
    """One way for pictures to go bad, and the accuracy, 0 to 1, that is left at each strength."""

    name: str
    group: str
    accuracy: Sequence[float]
    mean: float


def offers(coverage: Mapping[str, Sequence[float]]) -> list[Offer]:
    """For each wanted error the most pictures that can be answered; those that cannot be had are left out."""
    found = []
    for wanted in _WANTED:
        good = [place for place, error in enumerate(coverage["error"]) if error <= wanted]
        if good:
            found.append(Offer(wanted, coverage["coverage"][good[-1]], coverage["confidence"][good[-1]]))
    return found


def corruptions(told: Mapping[str, Any]) -> list[Corruption]:
    """Rows of the table of corruptions, group by group as `robustness.json` has them."""
    rows = [
        Corruption(name.replace("_", " "), row["group"], row["accuracy"], row["mean"])
        for name, row in told["corruptions"].items()
    ]
    groups = list(dict.fromkeys(row.group for row in rows))
    return sorted(rows, key=lambda row: groups.index(row.group))


def recall_intervals(confusion: np.ndarray) -> list[tuple[float, float]]:
    """Wilson's 95 % interval of each class's recall; 0 to 1 where it has no pictures."""
    return [
        wilson(int(row[number]), int(row.sum())) if row.sum() else (0.0, 1.0)
        for number, row in enumerate(confusion)
    ]
