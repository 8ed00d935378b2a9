"""Three blocks of convolution, batch norm, pool and dropout, on rotated, shifted and mirrored pictures.

    tenfold train --recipe augmented

As its README gives it: Adam, categorical cross-entropy, rotation, width and height shift and horizontal flip,
a checkpoint of the best model and early stopping, both on the validation loss; it reports no number. Its
labels are one-hot; the sparse loss used here is the same function of integer labels. Where the README is
silent, its author most likely had: filters 32 - 64 - 128 and a dense layer of 128, dropout of a quarter after
each block and a half before the end, 15 degrees, a tenth of width and height, learning rate 0.001, batch 64,
40 epochs at most with a patience of 10. Measured times and accuracy: docs/results.md.
"""

from tenfold.config import Augmentation, Config


def recipe() -> Config:
    return Config(
        recipe="augmented",
        model="augmented",
        optimizer="adam",
        learning_rate=0.001,
        epochs=40,
        batch_size=64,
        patience=10,
        monitor="val_loss",
        augmentation=Augmentation(flip="random", rotation=15.0, shift=0.1),
        precision="float32",
    )
