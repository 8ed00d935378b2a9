"""Random changes to a whole batch of pictures at once: what is drawn, and what it does to plain arrays."""

from tenfold.augmentation.changes import Changes, apply, mix, shrink
from tenfold.augmentation.draws import alternating, augment, draw, needs_torch

__all__ = ["Changes", "alternating", "apply", "augment", "draw", "mix", "needs_torch", "shrink"]
