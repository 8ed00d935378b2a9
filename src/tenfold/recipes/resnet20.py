"""ResNet-20, the first paper's smallest, on a third of its schedule.

    tenfold train --recipe resnet20

He et al., arXiv:1512.03385, section 4.2, train for 164 epochs of batches of 128, with a momentum of 0.9, a
rate of 0.1 that falls in two steps, a weight decay of 0.0001 and mirrored crops by four pixels, and report
91.25 % test accuracy. A rate that falls linearly needs fewer epochs (Li et al., arXiv:1905.04753): 60 here.
The weight decay is that of most later trainings, 0.0005, written as 0.005: it is decoupled from the momentum
of 0.9, which would make ten times as much of it. With `--model` and `--time` the settings suit other
convolutional networks, too. Accuracy and time: docs/results.md.
"""

from tenfold.config import Augmentation, Config


def recipe() -> Config:
    return Config(
        recipe="resnet20",
        model="resnet20",
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=0.005,
        schedule="linear",
        warmup=0.05,
        epochs=60,
        batch_size=128,
        augmentation=Augmentation(flip="random", crop=4),
    )
