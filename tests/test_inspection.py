"""A closer look at a run, through the command line and from Python, with a small network on the digits."""

import json
import shutil

import numpy as np
import pytest

from tenfold import cli, inspection, runs
from tenfold.datasets import load
from tenfold.errors import UsageError
from tenfold.images import encode_png
from tenfold.inspection import inspect
from tenfold.prediction import Predictor


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ["train", "digits", "--recipe", "tiny", "--epochs", "2", "--precision", "float32", "--quiet"]
    assert cli.main([*words, "--runs", str(folder), "--name", "made"]) == 0
    return folder / "made"


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy, to change; the small network gets seven seconds in place of thirty."""
    monkeypatch.setattr(inspection, "_SECONDS", 7.0)
    return runs.Run(shutil.copytree(trained, tmp_path / "made"))


def test_all_of_it_through_the_command_line(run, capsys):
    assert cli.main(["evaluate", str(run.path), "--full", "--topk", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    sturdy = json.loads((run.path / "robustness.json").read_text())
    assert sturdy["split"] == "validation"
    assert len(sturdy["corruptions"]) >= 15
    assert sturdy["accuracy"] == told["accuracy"]
    assert 0 < sturdy["mean"] < sturdy["accuracy"]
    assert "in the mean over" in told["robustness"]
    rivals = json.loads((run.path / "baselines.json").read_text())
    assert rivals["baselines"][0]["name"] == "commonest class"
    maps, rows = run.gallery("heat-validation")
    known = run.predictions("validation")
    assert len(rows)
    assert (known["labels"][rows] != known["predicted"][rows]).all()
    assert maps.shape[1:] == (32, 32) or maps.shape[1:] == (8, 8)
    page = (run.path / "report.html").read_text()
    assert 'id="robustness"' in page
    assert 'id="baselines"' in page
    assert 'class="heat"' in page


def test_test_pictures_are_looked_at_once_for_all_of_it(run):
    found, _ = Predictor(run).evaluate(
        "test", also=lambda scored, data: inspect(run, None, scored, data, ["baselines", "heat-maps"])
    )
    assert len(run.looks) == 1
    assert json.loads((run.path / "baselines.json").read_text())["split"] == found.split == "test"
    assert run.gallery("heat-test") is not None


def test_an_unknown_part_is_named(run):
    predictor = Predictor(run)
    with pytest.raises(UsageError, match="Did you mean 'robustness'"):
        predictor.evaluate(
            also=lambda scored, data: inspect(run, predictor.predict, scored, data, ["robustnes"])
        )


class TestElsewhere:
    """Pictures from elsewhere, classes matched by name."""

    @pytest.fixture
    def folder(self, tmp_path):
        """Digits of three classes, one of them unknown to the run, in another order than the run's."""
        digits = load("digits", "train")
        for name, shown in (("b-seven", 7), ("7", 7), ("2", 2)):
            (tmp_path / "other" / name).mkdir(parents=True)
            for row in np.flatnonzero(digits.labels == shown)[:12]:
                path = tmp_path / "other" / name / f"{row}.png"
                path.write_bytes(encode_png(digits.images[row]))
        return tmp_path / "other"

    def test_they_are_scored_and_strangers_left_out(self, run, folder, capsys):
        assert cli.main(["evaluate", str(run.path), "--data", str(folder)]) == 0
        shown = capsys.readouterr().out
        assert "of 24 outside pictures right" in shown
        assert "12 of classes the run does not know left out: b-seven" in shown
        scores = run.scores("outside")
        assert scores["accuracy"] > 0.7
        assert [sum(row) for row in scores["confusion"]] == [0, 0, 12, 0, 0, 0, 0, 12, 0, 0]
        assert run.looks == []
        assert "24 outside pictures" in (run.path / "report.html").read_text()

    def test_the_runs_own_data_are_not_elsewhere(self, run, capsys):
        assert cli.main(["evaluate", str(run.path), "--data", "digits"]) == 2
        assert "--split test" in capsys.readouterr().err

    def test_nothing_in_common_is_told(self, run, tmp_path, picture_folder, capsys):
        folder = picture_folder({"cat": 2, "dog": 2}, name="pets")
        assert cli.main(["evaluate", str(run.path), "--data", str(folder)]) == 3
        assert "shares no class" in capsys.readouterr().err
