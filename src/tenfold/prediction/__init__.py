"""Pictures in, labelled probabilities out: the one way from a run folder to answers."""

from tenfold.paths import Failure
from tenfold.prediction.predictor import Prediction, Predictor

__all__ = ["Failure", "Prediction", "Predictor"]
