"""A new head on a network that has learnt before, in seconds; then its upper layers too, where asked for.

    tenfold train photos/ --from runs/fast
    tenfold train photos/ --backbone mobilenetv2 --weights imagenet --freeze 100

It is what `--from` and `--backbone` start from where no other recipe is named. Thirty passes over features
that are computed once: seconds for a few thousand pictures, once the network has looked at them. AdamW, as a
head on standardised features wants no rate of its own for every network; far less of it for the layers
that `--freeze` leaves free. How it compares with training from nothing: docs/results.md.
"""

from tenfold.config import Augmentation, Config


def recipe() -> Config:
    return Config(
        recipe="transfer",
        optimizer="adamw",
        learning_rate=0.002,
        weight_decay=0.01,
        schedule="cosine",
        label_smoothing=0.2,
        epochs=30,
        batch_size=64,
        finetune_epochs=10,
        finetune_rate=0.0003,
        augmentation=Augmentation(flip="random", crop=2),
    )
