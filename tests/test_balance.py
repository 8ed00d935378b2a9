"""Class weights: what they are, how mixed labels weigh, and that rare classes are learned by them."""

import dataclasses

import keras
import numpy as np
import pytest

from tenfold import balance, training
from tenfold.batches import Batches, one_hot_labels
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset, load

LABELS = np.repeat([0, 1, 3], [60, 30, 10])
NAMES = ("ant", "bee", "cow", "dog")


def test_weights_are_those_that_scikit_learn_calls_balanced():
    from sklearn.utils.class_weight import compute_class_weight

    weights = balance.class_weights(LABELS, 4)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=LABELS)
    assert weights[[0, 1, 3]] == pytest.approx(expected)
    assert weights[2] == 0
    assert weights.dtype == np.float32
    assert weights[LABELS].mean() == pytest.approx(1)


@pytest.mark.parametrize("there", ["memory", "device"])
def test_a_mixed_label_weighs_as_its_parts_do(there):
    weights = balance.class_weights(LABELS, 4)
    targets = np.array([[1, 0, 0, 0], [0.5, 0, 0, 0.5]], np.float32)
    numbers = np.array([3, 0])
    if there == "device":
        targets, numbers = keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(numbers)
    mixed, plain = balance.weigh(targets, weights), balance.weigh(numbers, weights)
    assert type(mixed) is type(targets)
    found = keras.ops.convert_to_numpy(mixed)
    assert found == pytest.approx([weights[0], (weights[0] + weights[3]) / 2])
    assert keras.ops.convert_to_numpy(plain) == pytest.approx(weights[[3, 0]])


def test_the_note_names_the_rarest_first():
    assert balance.note(balance.class_weights(LABELS, 4), NAMES) == (
        "Training pictures weigh by class, validation pictures do not: dog 3.33, bee 1.11, ant 0.556."
    )
    many = balance.note(np.arange(1, 21, dtype=np.float32), [f"c{n}" for n in range(20)])
    assert "c19 20, c18 19, c17 18, c16 17, c15 16, ..., c4 5, c3 4, c2 3, c1 2, c0 1." in many


@pytest.fixture
def dataset():
    images = np.zeros((100, 8, 8, 3), np.uint8)
    return Dataset(images, LABELS, NAMES, tuple(map(str, range(100))))


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("change", [Augmentation(), Augmentation(cutmix=1.0)], ids=["plain", "mixed"])
def test_batches_carry_the_weights_of_their_targets(dataset, resident, change):
    if resident and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow takes its batches from the processor")
    settings = Config(batch_size=40, balance=True, augmentation=change)
    one_hot = change.mixes
    _, targets, weights = Batches(dataset, settings, one_hot=one_hot, resident=resident)[0]
    targets, weights = keras.ops.convert_to_numpy(targets), keras.ops.convert_to_numpy(weights)
    shares = targets if one_hot else one_hot_labels(dataset)[[LABELS.tolist().index(t) for t in targets]]
    assert weights == pytest.approx(shares @ balance.class_weights(LABELS, 4), rel=1e-5)
    assert len(Batches(dataset, Config(), one_hot=False)[0]) == 2


@pytest.fixture
def uneven(tmp_path):
    """Digits of which 8 and 9 have 12 training pictures each and the others about 120."""
    train, test = load("digits", "train", image_size=8), load("digits", "test", image_size=8)
    kept = np.concatenate(
        [np.flatnonzero(train.labels == label)[: 12 if label > 7 else None] for label in range(10)]
    )
    arrays = {"x_train": train.images[kept], "y_train": train.labels[kept]}
    arrays |= {
        "x_val": test.images,
        "y_val": test.labels,
        "x_test": test.images[:1],
        "y_test": test.labels[:1],
    }
    np.savez(tmp_path / "uneven.npz", **arrays)
    return tmp_path / "uneven.npz"


def test_rare_classes_are_found_more_often(uneven, tmp_path):
    plain = Config(
        data=str(uneven),
        model="tiny",
        optimizer="adam",
        learning_rate=0.003,
        batch_size=64,
        epochs=2,
        precision="float32",
        monitor="last",
    )
    told = []
    recall, loss = {}, {}
    for balanced in (False, True):
        run = training.train(
            dataclasses.replace(plain, balance=balanced), runs=tmp_path / "runs", listen=told.append
        )
        report = run.scores("validation")["report"]
        recall[balanced] = np.mean([report[name]["recall"] for name in ("8", "9")])
        loss[balanced] = run.history[-1]["val_loss"]
        exact = run.scores("validation")["accuracy"]
        assert run.history[-1]["val_accuracy"] == pytest.approx(exact, abs=0.02)
        assert any("weigh by class" in note for note in run.data["notes"]) is balanced
    assert recall[True] > recall[False] + 0.1
    assert any(isinstance(event, str) and "weigh by class" in event for event in told)
