"""Three convolutions of 64 - 128 - 256 filters with batch norm, dropout of a half, early stopping.

    tenfold train --recipe batchnorm

As the code in its README gives it: Adam at 0.001, categorical cross-entropy, early stopping; it reports over
70 % test accuracy. Its labels are one-hot; the sparse loss used here is the same function of integer labels.
Where the README is silent, its author most likely had: batch 32 (Keras' default), early stopping on the
validation loss with a patience of 5 and the best weights restored. The README names no number of epochs; 15
at most is our choice, to keep a run short. Measured times and accuracy: docs/results.md.
"""

from tenfold.config import Config


def recipe() -> Config:
    return Config(
        recipe="batchnorm",
        model="batchnorm",
        optimizer="adam",
        learning_rate=0.001,
        epochs=15,
        batch_size=32,
        patience=5,
        monitor="val_loss",
        precision="float32",
    )
