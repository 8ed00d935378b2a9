"""doctor(data): one call finds all kinds of faults, and leaves the data as they were."""

import dataclasses

import numpy as np
import pytest

from tenfold import datasets
from tenfold.config import Augmentation
from tenfold.doctor import crossing, diagnosis, doctor
from tenfold.errors import UsageError
from tenfold.recipes import recipe
from tenfold.training import train

TINY = dataclasses.replace(
    recipe("tiny"), epochs=3, batch_size=16, augmentation=Augmentation(), precision="float32"
)


def test_faults_of_every_kind_are_found_and_nothing_is_changed(save, two_classes):
    folder = save({**two_classes, "test/cat/9.png": two_classes["train/cat/1.png"]})
    (folder / "train/cat/0.png").write_bytes(b"\x89PNG")
    (folder / "train/dog/0.png").rename(folder / "train/dog/0.jpg")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    found = doctor(folder, suspects="none")
    assert [finding.kind for finding in found.findings] == [
        "unreadable",
        "duplicate-across",
        "wrong-extension",
    ]
    assert len(found.blockers) == 2
    assert found.counts == {"train": 12, "test": 5}
    assert ("test", "test/cat/9.png") in found.thumbnails
    assert any("Test pictures were compared" in remark for remark in found.remarks)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_a_misnamed_class_does_not_stop_it(save, two_classes):
    pictures = {name.replace("test/cat", "test/Cats"): pixels for name, pixels in two_classes.items()}
    found = doctor(save(pictures), suspects="none")
    assert [finding.kind for finding in found.findings] == ["misnamed-class"]


def noisy(folder):
    """Digits as an archive, ten of the labels wrong."""
    digits = datasets.load("digits").subset(np.arange(400))
    labels = digits.labels.copy()
    labels[:10] = (labels[:10] + 5) % 10
    path = folder / "noisy.npz"
    np.savez(path, x_train=digits.images, y_train=labels, x_test=digits.images[:1], y_test=labels[:1])
    return path


def suspected(found):
    return {item.id for finding in found.of("label-suspect") for item in finding.pictures}


def test_the_quick_way_lists_its_strongest_doubts(tmp_path):
    found = doctor(noisy(tmp_path))
    assert len(suspected(found)) == 4  # a hundredth
    assert suspected(found) <= {f"x_train:{row}" for row in range(10)}


def test_networks_find_wrong_labels(tmp_path):
    found = doctor(noisy(tmp_path), suspects="train", settings=dataclasses.replace(TINY, epochs=6))
    assert len(suspected(found) & {f"x_train:{row}" for row in range(10)}) >= 7
    assert any("3 networks" in remark for remark in found.remarks)


def test_a_run_doubts_the_labels_of_its_validation_pictures(tmp_path):
    path = noisy(tmp_path)
    settings = dataclasses.replace(TINY, data=str(path), val_split=0.5, epochs=8)
    run = train(settings, runs=tmp_path / "runs", name="noisy")
    found = doctor(path, suspects="none", run=run)
    held = {*run.predictions("validation")["ids"]} & {f"x_train:{row}" for row in range(10)}
    assert held
    assert len(suspected(found) & held) >= 0.7 * len(held)
    assert suspected(found) <= {*run.predictions("validation")["ids"]}


def test_networks_take_nine_minutes_for_what_cifar_has_and_less_for_less():
    folds = crossing.TRAINED_FOLDS
    assert diagnosis.by_the_clock(50_000, None).time * folds == 540
    assert diagnosis.by_the_clock(500_000, None).time * folds == 540
    assert diagnosis.by_the_clock(100, None).time * folds == 54
    assert diagnosis.by_the_clock(100, 30.0).time * folds == 30


def test_a_wrong_way_is_named():
    with pytest.raises(UsageError, match="Did you mean 'train'"):
        doctor("digits", suspects="trian")
