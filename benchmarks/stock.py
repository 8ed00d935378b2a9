"""A classic on stock Keras and TensorFlow, as its README gives it: test accuracy after every epoch, as JSON.

    KERAS_BACKEND=tensorflow python benchmarks/stock.py compact pictures.npz --seed 0 --minutes 5

`time_to_accuracy.py` starts it, one process a run. The network is of stock Keras layers, channels last and
float32, with the optimizer, batch and epochs of its recipe, through one `Model.fit` on arrays. Measuring the
accuracy is left out of both clocks: `wall`, from the start of the process, and `trained`, from the call of
`fit`.

The seed sets the first weights, not TensorFlow's global one: with that, `fit` on arrays shows the pictures in
the same order in every epoch, which cost `compact` two points of test accuracy.
"""

import argparse
import json
import random
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import tenfold
from tenfold.config import Augmentation, Config


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("pictures", type=Path, help="NumPy archive of x, y, x_test, y_test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="stop with the first epoch that ends after")
    parser.add_argument(
        "--goal",
        type=float,
        help="stop with the first epoch of this test accuracy, 0 to 1; up to three times the README's epochs",
    )
    parser.add_argument("--since", type=float, default=time.time(), help="when the process was started")
    options = parser.parse_args()
    print(json.dumps(curve(options)))
    return 0


def curve(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of loading, the batch, and one point an epoch: wall, trained, accuracy."""
    import keras
    import numpy as np

    from tenfold import models, optimizers

    settings = tenfold.recipe(options.recipe)
    random.seed(options.seed)  # Keras draws the seeds of its initializers and dropout from it
    with np.load(options.pictures) as arrays:
        x, y, x_test, y_test = (arrays[part] for part in ("x", "y", "x_test", "y_test"))
    model = models.build(settings.model, x.shape[1:], int(y.max()) + 1)
    model.compile(
        optimizers.build(settings, steps=1), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    points: list[dict[str, float]] = []

    class Curve(keras.callbacks.Callback):
        paused = 0.0

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            now = time.perf_counter()
            trained = now - start - self.paused
            accuracy = float(self.model.evaluate(x_test, y_test, batch_size=500, verbose=0)[1])
            points.append({"wall": loading + trained, "trained": trained, "accuracy": accuracy})
            reached = options.goal is not None and accuracy >= options.goal
            if reached or loading + trained >= 60 * options.minutes:
                self.model.stop_training = True
            self.paused += time.perf_counter() - now

    loading = time.time() - options.since
    start = time.perf_counter()
    epochs = settings.epochs * (1 if options.goal is None else 3)
    fit = partial(model.fit, epochs=epochs, verbose=0, callbacks=[Curve()])
    if settings.augmentation == Augmentation():
        fit(x, y, batch_size=settings.batch_size)
    else:
        fit(augmented(x, y, settings))
    return {"loading": loading, "batch": settings.batch_size, "points": points}


def augmented(x: Any, y: Any, settings: Config) -> Any:
    """Batches changed by stock Keras' layers in a tf.data pipeline: quicker than inside the model."""
    import keras
    import tensorflow

    change = settings.augmentation
    layers = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(change.rotation / 360, fill_mode="nearest"),
            keras.layers.RandomTranslation(change.shift, change.shift, fill_mode="nearest"),
        ]
    )
    auto = tensorflow.data.AUTOTUNE
    batches = tensorflow.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(settings.batch_size)
    return batches.map(lambda a, b: (layers(a, training=True), b), num_parallel_calls=auto).prefetch(auto)


if __name__ == "__main__":
    sys.exit(main())
