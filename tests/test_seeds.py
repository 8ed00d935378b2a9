"""`tenfold train --seeds`: several runs of the same settings, their mean, and what a stop leaves undone."""

import json
import shutil
import statistics
import subprocess
import sys

import numpy as np
import pytest

from tenfold import cli, training
from tenfold.callbacks import Best
from tenfold.cli import seeds
from tenfold.recipes import recipe
from tenfold.runs import open_run

WORDS = ["train", "digits", "--recipe", "tiny", "--epochs", "2", "--precision", "float32", "-q", "--seeds"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the runs of two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    assert cli.main([*WORDS, "2", "--runs", str(folder), "--name", "t"]) == 0
    return folder


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs")


def written(run):
    return (run / "summary.json").stat().st_mtime_ns


def test_each_seed_is_the_run_that_it_would_be_alone(made, tmp_path):
    import dataclasses

    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=2, precision="float32", seed=1)
    alone = training.train(settings, runs=tmp_path)
    series = open_run(made / "t-s1")
    assert series.config == alone.config
    np.testing.assert_array_equal(
        series.predictions("validation")["probabilities"], alone.predictions("validation")["probabilities"]
    )
    assert open_run(made / "t-s0").config.seed == 0


def test_mean_and_deviation_are_kept(made):
    found = json.loads((made / "t-seeds.json").read_text())
    scores = [open_run(made / f"t-s{seed}").scores("validation")["accuracy"] for seed in (0, 1)]
    assert [row["accuracy"] for row in found["runs"]] == scores
    assert found["accuracy"]["mean"] == pytest.approx(statistics.mean(scores))
    assert found["accuracy"]["deviation"] == pytest.approx(statistics.stdev(scores))
    assert found["settings"]["epochs"] == 2
    assert "seed" not in found["settings"]


def test_what_has_finished_is_not_run_again_and_more_seeds_are_added(copy, capsys):
    before = [written(copy / f"t-s{seed}") for seed in (0, 1)]
    (copy / "t-s0" / "report.html").unlink()
    assert cli.main([*WORDS, "3", "--runs", str(copy), "--name", "t"]) == 0
    assert [written(copy / f"t-s{seed}") for seed in (0, 1)] == before
    assert (copy / "t-s0" / "report.html").exists()
    shown = capsys.readouterr().out
    assert "mean and deviation of 3 seeds" in shown
    assert shown.count("seed ") == 3


def test_an_interrupt_in_the_middle_is_taken_up_by_the_same_command(tmp_path, monkeypatch, capsys):
    words = [*WORDS, "2", "--runs", str(tmp_path), "--name", "t"]
    ended = Best.on_epoch_end
    calls = []

    def interrupted(self, epoch, logs=None):
        calls.append(epoch)
        if len(calls) == 4:  # the second epoch of the second seed
            raise KeyboardInterrupt
        ended(self, epoch, logs)

    monkeypatch.setattr(Best, "on_epoch_end", interrupted)
    assert cli.main(words) == 130
    assert "The same command again goes on with all seeds." in capsys.readouterr().err
    monkeypatch.undo()
    first = written(tmp_path / "t-s0")
    assert cli.main(words) == 0
    assert written(tmp_path / "t-s0") == first
    assert open_run(tmp_path / "t-s1").summary["epochs"] == 2
    events = (tmp_path / "t-s1" / "events.jsonl").read_text()
    assert "resumed" in events
    shutil.rmtree(tmp_path / "t-s1" / "state")
    (tmp_path / "t-s1" / "summary.json").unlink()  # as if killed before an epoch had ended
    assert cli.main(words) == 0
    assert "resumed" not in (tmp_path / "t-s1" / "events.jsonl").read_text()


def test_json_ends_with_the_series(copy, capsys):
    words = [word for word in WORDS if word != "-q"]
    assert cli.main([*words, "2", "--json", "--runs", str(copy), "--name", "t"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "seeds"
    assert [row["seed"] for row in events[-1]["runs"]] == [0, 1]
    assert set(events[-1]["accuracy"]) == {"mean", "deviation", "lowest", "highest"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["2", "--lr", "0.5"], "Expected: learning_rate=0.001. Received: learning_rate=0.5"),
        (["0"], "seeds must be 1 or more. Received: seeds=0"),
        (["2", "--name", "a/b"], "one folder name"),
    ],
    ids=["other settings", "none", "a path"],
)
def test_what_does_not_fit_is_named(copy, words, said, capsys):
    named = [] if "--name" in words else ["--name", "t"]
    assert cli.main([*WORDS, *words, "--runs", str(copy), *named]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


def test_runs_of_unknown_settings_are_left_alone(copy, capsys):
    (copy / "t-seeds.json").unlink()
    before = written(copy / "t-s0")
    assert cli.main([*WORDS, "2", "--runs", str(copy), "--name", "t"]) == 2
    assert "--exist-ok" in capsys.readouterr().err
    assert written(copy / "t-s0") == before
    assert cli.main([*WORDS, "2", "--runs", str(copy), "--name", "t", "--exist-ok"]) == 0
    assert written(copy / "t-s0") > before


def test_a_wrong_data_set_leaves_nothing_in_the_way(tmp_path, capsys):
    wrong = [word if word != "digits" else "digit" for word in WORDS]
    assert cli.main([*wrong, "2", "--runs", str(tmp_path)]) == 2
    capsys.readouterr()
    assert cli.main([*WORDS, "2", "--runs", str(tmp_path), "--epochs", "1", "--val-split", "0"]) == 0
    assert "no validation score" in capsys.readouterr().out
    assert "accuracy" not in json.loads((tmp_path / "tiny-seeds.json").read_text())


def test_a_dry_run_tells_the_time_of_all(capsys, tmp_path):
    words = [word for word in WORDS if word != "-q"]
    assert cli.main([*words, "3", "--dry-run", "--runs", str(tmp_path / "runs")]) == 0
    assert "for each of 3 seeds" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_every_seed_has_all_of_the_time(tmp_path):
    words = ["train", "digits", "--recipe", "tiny", "-q", "--time", "30s", "--seeds", "2"]
    command = [sys.executable, "-m", "tenfold", *words, "--runs", str(tmp_path)]
    subprocess.run(command, check=True)  # a process of its own: the first seed's clock starts with it
    used = [open_run(tmp_path / f"tiny-s{seed}").summary["time_used"] for seed in (0, 1)]
    assert all(20 < seconds < 31 for seconds in used)


def test_a_series_names_its_members(tmp_path):
    series = seeds.Series(recipe("tiny"), 2, tmp_path, "x")
    assert [path.name for path in series.members] == ["x-s0", "x-s1"]
    assert [config.seed for config in series.members.values()] == [0, 1]
