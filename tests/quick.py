"""Settings that learn the digits in seconds, and a stop at a known place, for all tests that train."""

import keras

from tenfold.config import Config

QUICK = Config(
    recipe="quick",
    data="digits",
    model="tiny",
    optimizer="adam",
    learning_rate=0.002,
    epochs=3,
    batch_size=64,
    precision="float32",
)


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C before the epoch `at`, counted from 0."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            raise KeyboardInterrupt
