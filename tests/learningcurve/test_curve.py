"""A learning curve, measured: what it leaves, what it answers, and what a stop leaves undone."""

import dataclasses
import json
import re
import shutil

import pytest

from tenfold import cli, learningcurve, training
from tenfold.errors import Stopped, UsageError
from tenfold.learningcurve.curve import Curve
from tenfold.powerlaw import Point, fit
from tenfold.runs import open_run

SHARES = (0.05, 0.4, 1.0)


def summaries(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/summary.json")}


def test_more_pictures_are_learned_from_and_scored_on_the_same_ones(curve, settings, runs):
    trained = [open_run(runs / "curve-tiny" / name) for name in ("5-s0", "40-s0", "100-s0")]
    assert [run.data["counts"]["train"] for run in trained] == [point.pictures for point in curve.points]
    assert len({run.splits["splits"]["validation"]["sha256"] for run in trained}) == 1
    assert [run.config.epochs for run in trained] == [20, 2, 1]
    assert curve.points[0].error > curve.points[-1].error
    kept = json.loads((curve.path / "curve.json").read_text())
    assert [row["pictures"] for row in kept["points"]] == [point.pictures for point in curve.points]
    assert kept["projection"][1]["pictures"] == 2 * curve.most
    assert kept["settings"]["epochs"] == settings.epochs


def test_the_same_call_again_trains_nothing_and_more_shares_are_added(curve, settings, runs):
    before = summaries(curve.path)
    again = learningcurve.learning_curve(settings, shares=SHARES, runs=runs)
    assert summaries(curve.path) == before
    assert again.points == curve.points
    more = learningcurve.parts(settings, shares=(0.1, *SHARES), runs=runs)
    assert [part.finished for part in more] == [True, False, True, True]


def test_other_settings_do_not_mix_with_it(curve, settings, runs):
    other = dataclasses.replace(settings, learning_rate=0.5)
    with pytest.raises(UsageError, match=r"Expected: learning_rate=0.001. Received: learning_rate=0.5"):
        learningcurve.learning_curve(other, shares=SHARES, runs=runs)
    (runs / "curve-strange" / "run").mkdir(parents=True)
    (runs / "curve-strange" / "run" / "config.yaml").write_text("epochs: 1\n")
    with pytest.raises(UsageError, match=r"without a curve\.json"):
        learningcurve.learning_curve(settings, shares=SHARES, runs=runs, name="strange")


def test_a_stop_is_taken_up_by_the_same_call(curve, settings, tmp_path):
    copy = shutil.copytree(curve.path, tmp_path / "curve-tiny")
    shutil.rmtree(copy / "40-s0")
    trained = []

    def train(part):
        trained.append(part.path.name)
        if len(trained) == 1:
            raise Stopped("Stopped.")
        training.train(part.config, runs=part.path.parent, name=part.path.name)

    words = {"shares": SHARES, "runs": tmp_path, "train": train}
    with pytest.raises(Stopped, match="goes on with the curve"):
        learningcurve.learning_curve(settings, **words)
    assert learningcurve.learning_curve(settings, **words).points == curve.points
    assert trained == ["40-s0", "40-s0"]


def measured(path, *errors):
    points = tuple(Point(size, error, 5000) for size, error in zip((4500, 9000, 45000), errors, strict=True))
    return Curve(path, points, fit(points))


def test_it_answers_how_many_more_pictures_are_needed(tmp_path):
    falling = measured(tmp_path, 0.30, 0.22, 0.10)
    assert "92.0 % takes about" in falling.answer(0.92)
    assert "more than there are" in falling.answer(0.92)
    assert "80.0 % is reached" in falling.answer(0.8)
    flat = measured(tmp_path, 0.104, 0.102, 0.1)
    assert "is not in sight" in flat.answer(0.99)
    with pytest.raises(UsageError, match="target=95"):
        falling.answer(95)


def test_the_command_tells_the_time_measures_draws_and_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [
        "curve",
        "digits",
        "--recipe",
        "tiny",
        "--epochs",
        "1",
        "--precision",
        "float32",
        "--batch",
        "64",
    ]
    words += ["--shares", "50%", "75%", "100%", "--target", "99.9%"]
    assert cli.main([*words, "--dry-run"]) == 0
    assert re.search(r"3 trainings of 3 to do, about 0:\d\d in all", capsys.readouterr().out)
    assert not (tmp_path / "runs").exists()
    assert cli.main([*words, "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "foretold" in shown
    assert "99.9 %" in shown
    assert (tmp_path / "runs/curve-tiny/curve.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main([*words, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["plan", "curve"]
    assert events[0]["trainings"] == 0
    assert len(events[1]["points"]) == 3


def test_a_target_out_of_range_costs_no_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["curve", "digits", "--recipe", "tiny", "--target", "100%"]) == 2
    assert "target=100%" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
