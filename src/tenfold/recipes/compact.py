"""Three bare convolutions, 32 - 64 - 64, and one dense layer: the classic of TensorFlow's tutorial.

    tenfold train --recipe compact

As its README gives it: 10 epochs; it reports no number. Where the README is silent, its author most likely
had what the tutorial of the same network has: Adam at 0.001, sparse categorical cross-entropy, batch 32.
Measured times and accuracy: docs/results.md.
"""

from tenfold.config import Config


def recipe() -> Config:
    return Config(
        recipe="compact",
        model="compact",
        optimizer="adam",
        learning_rate=0.001,
        epochs=10,
        batch_size=32,
        monitor="last",
        precision="float32",
    )
