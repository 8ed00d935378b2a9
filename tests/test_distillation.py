"""Distillation: a student learns a teacher's answers, class by class, and goes on exactly after a stop."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

import quick
from tenfold import distillation, engines, models, planning, training
from tenfold.config import Augmentation, Config
from tenfold.datasets import Dataset, load
from tenfold.distillation import Teacher
from tenfold.errors import DataError, Stopped, UsageError
from tenfold.ratefinder import find_rate
from tenfold.runs import open_run

QUICK = dataclasses.replace(quick.QUICK, epochs=4)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    run = training.train(QUICK, runs=tmp_path_factory.mktemp("teachers"), name="teacher")
    assert run.scores("validation")["accuracy"] > 0.9
    return run


@pytest.fixture
def mislabelled(tmp_path):
    """Digits whose training labels say nothing, true ones for validation; classes in the opposite order."""
    digits = load("digits", "train")
    shown, held = digits.subset(np.arange(1000)), digits.subset(np.arange(1000, 1300))
    np.savez(
        tmp_path / "strange.npz",
        x_train=shown.images,
        y_train=np.random.default_rng(0).integers(0, 10, 1000),
        x_val=held.images,
        y_val=9 - held.labels,
        class_names=np.array(digits.class_names[::-1]),
    )
    return tmp_path / "strange.npz"


def test_a_student_of_wrong_labels_learns_from_its_teacher(teacher, mislabelled, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "available", lambda: ())  # so Keras answers for the teacher
    alone = dataclasses.replace(QUICK, data=str(mislabelled))
    taught = dataclasses.replace(alone, teacher=str(teacher.path), distillation=1.0)
    assert training.train(alone, runs=tmp_path).scores("validation")["accuracy"] < 0.4
    said = []
    student = training.train(taught, runs=tmp_path, name="taught", listen=said.append)
    assert student.scores("validation")["accuracy"] > 0.85
    assert any("Teacher: " in str(line) and "keras in float32" in str(line) for line in said)
    told = json.loads((student.path / "teacher.json").read_text())
    assert told["model_sha256"] == engines.digest(teacher.model_path)
    assert student.config.teacher == str(teacher.path)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.skipif(not engines.available(), reason="the extra `export` is not installed")
def test_a_stopped_student_goes_on_exactly_even_without_the_teachers_folder(teacher, tmp_path):
    lent = shutil.copytree(teacher.path, tmp_path / "lent")
    settings = dataclasses.replace(
        QUICK,
        model="fast",
        model_options={"stem": 8, "width": 0.05},
        small_pictures=0.5,
        augmentation=Augmentation(flip="alternate", crop=2),
        teacher=str(lent),
        temperature=2.0,
    )
    whole = training.train(settings, runs=tmp_path, name="whole")
    with pytest.raises(Stopped):
        training.train(settings, runs=tmp_path, name="cut", extra_callbacks=[Interrupt()])
    shutil.rmtree(lent)
    cut = training.resume(tmp_path / "cut")
    assert json.loads((cut.path / "teacher.json").read_text())["engine"] == engines.available()[0]
    ours, theirs = (models.load(run.model_path).get_weights() for run in (whole, cut))
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))
    assert cut.scores("validation") == whole.scores("validation")
    shutil.rmtree(cut.path / "state")
    with pytest.raises(DataError, match="cannot be opened"):
        distillation.opened(cut, settings, load("digits", "train"))


def test_targets_are_the_label_and_the_softened_answer_of_the_same_class():
    seen = []

    def answer(images):
        seen.append(images.shape)
        return np.tile(np.float32([0.6, 0.2, 0.2]), (len(images), 1))

    labels = np.float32([[1, 0], [0, 1]])
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    plain = Teacher(8, np.array([2, 0]), 0.5, 1.0, answer)(pictures, labels)
    np.testing.assert_allclose(plain, [[0.625, 0.375], [0.125, 0.875]], rtol=1e-5)
    soft = Teacher(16, np.array([2, 0]), 1.0, 2.0, answer)(pictures, labels)
    roots = np.sqrt([0.2, 0.6])
    np.testing.assert_allclose(soft, [roots / roots.sum()] * 2, rtol=1e-4)
    assert soft.dtype == np.float32
    assert seen == [(2, 8, 8, 3), (2, 16, 16, 3)]  # each in the size that the teacher knows


def test_a_teacher_that_cannot_teach_these_classes_leaves_no_run(teacher, tmp_path):
    with pytest.raises(UsageError, match="not a run folder"):
        training.train(dataclasses.replace(QUICK, teacher=str(tmp_path / "none")), runs=tmp_path)
    pictures = np.zeros((20, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "cats.npz", images=pictures, labels=np.arange(20) % 2, class_names=["cat", "7"])
    strange = dataclasses.replace(QUICK, data=str(tmp_path / "cats.npz"), teacher=str(teacher.path))
    with pytest.raises(DataError, match="without cat"):
        training.train(strange, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_without_a_teacher_there_is_none(tmp_path):
    dataset = Dataset(np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1, int), ("a",), ("0",))
    assert distillation.opened(open_run_of(tmp_path), Config(), dataset) is None
    with distillation.visiting(Config(), dataset) as nobody:
        assert nobody is None
    assert not Config().soft_labels
    assert Config(teacher="runs/a").soft_labels


def open_run_of(folder):
    (folder / "config.yaml").write_text("epochs: 1\n")
    return open_run(folder)


@pytest.mark.slow
def test_plans_and_rates_reckon_with_the_teacher(teacher):
    settings = dataclasses.replace(QUICK, teacher=str(teacher.path))
    assert planning.plan(settings).images_per_second > 0
    assert find_rate(settings, steps=30).suggested > 0
