"""Tenfold trains, explains and ships classifiers of small pictures, on Keras 3.

Example:
    >>> import tenfold
    >>> tenfold.Config(epochs=3).epochs
    3
"""

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# The default backend is chosen here and nowhere else. Keras writes `tensorflow` into a keras.json of its
# own making, so only the environment variable counts as a user's choice.
os.environ.setdefault("KERAS_BACKEND", "torch")

_HOMES = {
    "Config": "tenfold.config",
    "Augmentation": "tenfold.config",
    "Dataset": "tenfold.datasets",
    "load": "tenfold.datasets",
    "recipe": "tenfold.recipes",
    "train": "tenfold.training",
    "resume": "tenfold.training",
    "plan": "tenfold.planning",
    "Run": "tenfold.runs",
    "open_run": "tenfold.runs",
    "evaluate": "tenfold.evaluation",
    "Evaluation": "tenfold.evaluation",
    "Predictor": "tenfold.prediction",
    "Prediction": "tenfold.prediction",
    "compare": "tenfold.comparison",
    "tune": "tenfold.tuning",
    "find_rate": "tenfold.ratefinder",
    "learning_curve": "tenfold.learningcurve",
    "Explainer": "tenfold.explanation",
    "heat_maps": "tenfold.explanation",
    "TenfoldError": "tenfold.errors",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Public names are imported at first use, so that `import tenfold` loads neither Keras nor torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tenfold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
