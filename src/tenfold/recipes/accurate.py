"""The network of `fast` on harder pictures, for five minutes and more: the longer, the larger it is.

    tenfold train --recipe accurate --time 15m

Crops by up to four pixels, a square of twelve cut out, and of twice as many pictures the half that a small
network is least sure of (after Jordan's airbench96, arXiv:2404.00498); in the last three tenths of the run
all pictures, mirrored and moved by two pixels at most. By the clock the network's size follows from the
time, as in `fast`, whose also are Muon, batches of 512, and small pictures in the first half. What
validation said to each of these: docs/log.md; accuracy after 5, 15 and 60 minutes: docs/results.md.
"""

import dataclasses

from tenfold.config import Augmentation, Config
from tenfold.recipes import fast


def recipe() -> Config:
    return dataclasses.replace(
        fast.recipe(),
        recipe="accurate",
        learning_rate=0.12,
        mild_pictures=0.3,
        candidates=2,
        epochs=32,
        augmentation=Augmentation(flip="alternate", crop=4, cutout=12),
    )
