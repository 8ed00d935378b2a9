"""A small vision transformer, with the optimizer that transformers ask for.

    tenfold train --recipe vit

AdamW with a warm-up and strong weight decay, as Touvron et al., arXiv:2012.12877, train transformers without
more data than the task's. On 50,000 pictures a transformer still learns slower than a convolutional network:
give it time, or take `resnet20`. The settings suit `--model convmixer` and `--model convnext`, too. Accuracy
after a quarter of an hour: `tenfold models`; after all epochs it has not been measured.
"""

from tenfold.config import Augmentation, Config


def recipe() -> Config:
    return Config(
        recipe="vit",
        model="vit",
        optimizer="adamw",
        learning_rate=0.001,
        weight_decay=0.05,
        schedule="cosine",
        warmup=0.1,
        label_smoothing=0.1,
        epochs=100,
        batch_size=128,
        augmentation=Augmentation(flip="random", crop=4),
    )
