"""The settings of a training run: what there is (`fields`), and how they are written (`texts`, `units`)."""

from tenfold.config.fields import Augmentation, Config
from tenfold.config.texts import from_yaml, override, to_yaml
from tenfold.config.units import seconds, share

__all__ = ["Augmentation", "Config", "from_yaml", "override", "seconds", "share", "to_yaml"]
