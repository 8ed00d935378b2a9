"""What goes into an exported file, whatever its format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

import tenfold
from tenfold.abstention import Familiarity
from tenfold.calibration import PLAIN, Calibrator
from tenfold.views import View, view_set

CARE = {"int8": "weights, and what products take"}
"""What the metadata of a careful file say."""


@dataclass(frozen=True)
class Content:
    """A model and all that belongs to its answers.

    Attributes:
        model: in the portable form, logits or softmax at its end; left as it was.
        images: uint8 (n, height, width, 3), real pictures to check a file on while it is written.
        facts: go into the file's metadata, beside what `told` adds.
        views: test-time views: a key of `views.VIEWS`.
        calibrator: makes the probabilities calibrated ones.
        known: gives a second output, how familiar a picture is; that of the plain view counts.
        sure_from: gives another output, whether the answer counts: the least confidence, 0 to 1.
        rounding: uint8 (n, height, width, 3), training pictures to choose the ranges of int8 by.
        careful: int8 for weights and for what products take, and float32 for all that these give. It changes
            half as many answers, and in some runtimes is no faster than float32.

    Raises:
        UsageError: there are no such views.
    """

    model: keras.Model
    images: np.ndarray
    facts: Mapping[str, str] = field(default_factory=dict)
    views: str = "none"
    calibrator: Calibrator = PLAIN
    known: Familiarity | None = None
    sure_from: float | None = None
    rounding: np.ndarray | None = None
    careful: bool = False

    def __post_init__(self) -> None:
        view_set(self.views)  # a wrong name is told before the work begins

    @property
    def view_set(self) -> tuple[View, ...]:
        """The views themselves."""
        return view_set(self.views)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in their order; a subset of `runtimes.OUTPUTS`."""
        more = {"familiarity": self.known, "sure": self.sure_from}
        return ["probabilities", *(name for name, wanted in more.items() if wanted is not None)]

    @property
    def class_names(self) -> list[str]:
        """As the facts have them, else numbers."""
        numbers = [str(number) for number in range(self.model.output_shape[-1])]
        return json.loads(self.facts.get("class_names", json.dumps(numbers)))

    @property
    def told(self) -> dict[str, str]:
        """The file's metadata: text by name."""
        told = {**self.facts, "views": self.views, "calibration": str(self.calibrator)}
        told["tenfold"] = tenfold.__version__
        if self.known is not None:
            told["familiar_from"] = f"{self.known.least:.4f}"
        if self.sure_from is not None:
            told["sure_from"] = f"{self.sure_from:.4f}"
        return told
