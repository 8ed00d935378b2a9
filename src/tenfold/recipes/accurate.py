"""The network of `fast`, wider, deeper and trained on harder pictures, for an hour and more.

    tenfold train --recipe accurate --time 60m

After Jordan's airbench96 (arXiv:2404.00498): a third, residual convolution in every block, which validation
favoured over width (docs/log.md), crops by up to four pixels, a square of twelve cut out. Muon, batches of
512 and small pictures in the first half are as in `fast`. Accuracy after an hour: docs/results.md.
"""

from tenfold.config import Augmentation, Config


def recipe() -> Config:
    return Config(
        recipe="accurate",
        model="fast",
        model_options={"stem": 96, "width": 1.25, "depth": 3},
        optimizer="muon",
        learning_rate=0.12,
        momentum=0.6,
        schedule="linear",
        label_smoothing=0.2,
        small_pictures=0.5,
        epochs=32,
        batch_size=512,
        augmentation=Augmentation(flip="alternate", crop=4, cutout=12),
    )
