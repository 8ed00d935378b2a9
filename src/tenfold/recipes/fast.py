"""A small modern network that makes the most of minutes; even one of them beats every classic.

    tenfold train --time 1m

What to expect on two cores is in docs/results.md; from five minutes on `accurate` makes more of them. The
network and much of the rest follow Jordan's airbench94 (arXiv:2404.00498): a whitening convolution, Muon on
convolution kernels, label smoothing, mirrored crops, flips that alternate by epoch, a linearly falling
rate. For a processor and few minutes it differs in what validation asked for (docs/log.md): batches of 512,
since few epochs need steps; pictures of three quarters the side in the first half; a network that is the
narrower the shorter the time.
"""

from tenfold.config import Augmentation, Config


def recipe() -> Config:
    return Config(
        recipe="fast",
        model="fast",
        optimizer="muon",
        learning_rate=0.15,
        momentum=0.6,
        schedule="linear",
        label_smoothing=0.2,
        small_pictures=0.5,
        epochs=10,
        batch_size=512,
        augmentation=Augmentation(flip="alternate", crop=2),
    )
