"""How the error falls with more pictures, and how many more a wanted accuracy would take.

The recipe is trained on growing shares of the training pictures, each within the next, scored on the same
validation pictures; then a power law is laid through the errors. All points get the same number of steps, not
of epochs: they shall differ by what there was to learn from, not by how long was learned. A run by the clock
has the same time for each.
"""

from tenfold.learningcurve.curve import Curve, learning_curve, resumable
from tenfold.learningcurve.parts import SHARES, Part, expected, parts
from tenfold.learningcurve.plot import chart

__all__ = ["SHARES", "Curve", "Part", "chart", "expected", "learning_curve", "parts", "resumable"]
