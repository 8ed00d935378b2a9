"""Three bare convolutions, 32 - 64 - 32, and two dense layers: the classic of 73,098 parameters.

    tenfold train --recipe plain

As its README gives it: RMSprop, categorical cross-entropy, 10 epochs, batch 32; it reports about 69 % test
accuracy. Its labels are one-hot; the sparse loss used here is the same function of integer labels.
Where the README is silent: learning rate 0.001 is Keras' default. Measured times and accuracy:
docs/results.md.
"""

from tenfold.config import Config


def recipe() -> Config:
    return Config(
        recipe="plain",
        model="plain",
        optimizer="rmsprop",
        learning_rate=0.001,
        epochs=10,
        batch_size=32,
        monitor="last",
        precision="float32",
    )
