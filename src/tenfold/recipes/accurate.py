"""The network of `fast`, wider, deeper and trained on harder pictures, for an hour and more.

    tenfold train --recipe accurate --time 60m

After Jordan's airbench96 (arXiv:2404.00498): a third, residual convolution in every block, which validation
favoured over width (docs/log.md), crops by up to four pixels, a square of twelve cut out. Muon, batches of
512 and small pictures in the first half are as in `fast`. Accuracy after an hour: docs/results.md.
"""

import dataclasses

from tenfold.config import Augmentation, Config
from tenfold.recipes import fast


def recipe() -> Config:
    return dataclasses.replace(
        fast.recipe(),
        recipe="accurate",
        model_options={"stem": 96, "width": 1.25, "depth": 3},
        learning_rate=0.12,
        epochs=32,
        augmentation=Augmentation(flip="alternate", crop=4, cutout=12),
    )
