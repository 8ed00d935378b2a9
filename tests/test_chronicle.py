"""The notes of a run: written before its first step, and once more at its end."""

import json

import numpy as np
import pytest

from tenfold import splits, training
from tenfold.config import Config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = Config(data="digits", model="tiny", epochs=1, batch_size=256, precision="float32")
    return training.train(settings, runs=tmp_path_factory.mktemp("runs"), command="tenfold train digits")


def test_the_beginning_tells_command_data_and_machine(run):
    assert (run.path / "command.txt").read_text() == "tenfold train digits\n"
    data = json.loads((run.path / "data.json").read_text())
    assert data["class_names"] == [str(digit) for digit in range(10)]
    assert sum(data["counts"].values()) == 1438
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["precision"] == "float32"
    assert environment["threads"] >= 1
    images, labels = run.gallery("train")
    assert len(images) == len(labels) == 100


def test_pictures_to_check_answers_on_are_those_of_validation_drawn_at_random(run):
    validation = splits.open_split(run, "validation")
    images, labels = run.gallery("sample")
    assert len(images) == len(validation)  # few enough for all of them
    assert sorted(picture.tobytes() for picture in images) == sorted(
        picture.tobytes() for picture in validation.images
    )
    np.testing.assert_array_equal(labels, validation.labels)


def test_the_end_tells_what_it_took(run):
    summary = run.summary
    assert summary["epochs"] == summary["best_epoch"] == 1
    assert summary["parameters"] == 394_970
    assert summary["seconds"] > 0
    assert summary["images_per_second"] > 0
    lines = (run.path / "events.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events[0] == "started"
    assert events[-1] == "finished"
