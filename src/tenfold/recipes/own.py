"""A calm start for a model of your own, whatever it is made of.

    tenfold train --model net.py:build

Nothing here is particular to one network: Adam at its usual rate, climbing for a twentieth of the run and
then falling along a cosine, batches of 128, mirrored crops. It is what `--model FILE` starts from where no
recipe is named; by itself it trains the network of `fast`, more slowly than that recipe does.
"""

from tenfold.config import Augmentation, Config


def recipe() -> Config:
    return Config(
        recipe="own",
        model="fast",
        optimizer="adam",
        learning_rate=0.001,
        schedule="cosine",
        warmup=0.05,
        epochs=20,
        batch_size=128,
        augmentation=Augmentation(flip="random", crop=2),
    )
