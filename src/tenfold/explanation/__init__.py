"""Why a model answers as it does: heat maps, nearest training pictures, filters and a map of its features.

`heat_maps` explains a batch for any Keras model; `Explainer` opens a run and explains pictures one by one.
"""

from tenfold.explanation.explainer import Explainer, Explanation, Neighbour
from tenfold.explanation.heat import Method, heat_maps
from tenfold.explanation.overview import Overview
from tenfold.occlusion import occlusion

__all__ = ["Explainer", "Explanation", "Method", "Neighbour", "Overview", "heat_maps", "occlusion"]
