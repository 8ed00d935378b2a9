"""Run folders with real pictures and real scores: scikit-learn's digits and a nearest-centroid classifier."""

import csv
import io
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

from tenfold import runs, splits
from tenfold.config import Augmentation, Config, to_yaml
from tenfold.datasets.dataset import Dataset
from tenfold.evaluation import evaluate

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Digits:
    """The three splits, and a classifier that answers with the class of the nearest mean picture."""

    train: Dataset
    validation: Dataset
    test: Dataset

    def predict(self, images):
        pixels = images.reshape(len(images), -1).astype(np.float32)
        known = self.train.images.reshape(len(self.train), -1).astype(np.float32)
        centroids = np.stack([known[self.train.labels == c].mean(axis=0) for c in range(10)])
        distances = ((pixels[:, None] - centroids) ** 2).mean(axis=-1)
        scores = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / 300)
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def digits(names=WORDS):
    data = load_digits()
    images = np.repeat((data.images * 255 / 16).astype(np.uint8)[..., None], 3, axis=-1)

    def cut(name, start, stop):
        ids = tuple(f"{name}/{i:04d}.png" for i in range(stop - start))
        return Dataset(images[start:stop], data.target[start:stop], tuple(names), ids)

    return Digits(cut("train", 0, 900), cut("held", 900, 1300), cut("last", 1300, 1797))


def history(epochs=3, validation=True):
    """A history.csv as training writes it."""
    text = io.StringIO()
    columns = ["epoch", "seconds", "images_per_second", "learning_rate", "loss", "accuracy"]
    rows = csv.writer(text)
    rows.writerow([*columns, "val_loss", "val_accuracy"])
    for epoch in range(1, epochs + 1):
        held = [0.9 / epoch, 0.9 - 0.2 / epoch] if validation else ["", ""]
        rows.writerow(
            [epoch, 1.5 * epoch, 5000 + epoch, 0.01 / epoch, 0.8 / epoch, 0.95 - 0.2 / epoch, *held]
        )
    return text.getvalue()


def build(folder, *, names=WORDS, validation=True, test=False, config=None, views="none"):
    """A finished run in `folder`, evaluated on the splits asked for; on test also by views."""
    run = runs.create(folder, "digits")
    data = digits(names)
    settings = config or Config(data="digits", epochs=3, augmentation=Augmentation(crop=1))
    run.write("config.yaml", to_yaml(settings))
    run.write("command.txt", "tenfold train digits --epochs 3\n")
    run.write(
        "environment.json", {"python": "3.11.2", "keras": "3.15.1", "processor": "a <fast> one", "cores": 2}
    )
    described = {"source": "digits", "kind": "digits", "location": "scikit-learn", "class_names": list(names)}
    counts = {"train": 900, "validation": 400 if validation else 0}
    run.write(
        "data.json", {**described, "image_size": 8, "fit": "pad", "counts": counts, "notes": ["One note."]}
    )
    parts = {"train": {"count": 900, "sha256": splits.fingerprint(data.train)}}
    if validation:
        parts["validation"] = {
            "count": 400,
            "sha256": splits.fingerprint(data.validation),
            "ids": ["held/0000.png"],
        }
    run.write("splits.json", {"seed": 0, "val_split": 0.3 if validation else 0.0, "splits": parts})
    run.write("history.csv", history(validation=validation))
    summary = {
        "seconds": 4.5,
        "images_per_second": 5002.0,
        "parameters": 73098,
        "flops": 1.2e6,
        "peak_memory_bytes": 5.3e8,
    }
    run.write(
        "summary.json",
        {**summary, "best_epoch": 3, "epochs": 3, "monitor": "val_accuracy" if validation else "last"},
    )
    run.append("events.jsonl", {"event": "started"})
    run.save_gallery("train", data.train.images[:60], data.train.labels[:60])
    if validation:
        scored = evaluate(data.predict, data.validation)
        run.save_evaluation("validation", scored.to_dict(), scored.predictions(), data.validation.images)
    if test:
        run.append(
            "ledger.jsonl",
            {"split": "test", "pictures": 497, "sha256": splits.fingerprint(data.test), "views": views},
        )
        scored = evaluate(data.predict, data.test, split="test", views=views)
        run.save_evaluation("test", scored.to_dict(), scored.predictions(), data.test.images)
    return run
