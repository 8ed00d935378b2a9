"""The list of architectures: complete, light, honest about where its figures are from."""

import dataclasses
import json
import subprocess
import sys

import pytest

from tenfold import cli, zoo

ORIGIN = zoo.Origin("tenfold models vit --measure", "2026-11-21", "A machine, 2 cores", "keras 3.15", "abc")


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Figures of two architectures, one of them with all that can be measured."""
    monkeypatch.setattr(zoo, "MEASURED", tmp_path / "measured.json")
    speed = zoo.Speed(321.5, (320.0, 321.5, 330.0), "float32", 128, 2, ORIGIN)
    score = zoo.Score(0.7654, 10_000, "15m", 6.5, ORIGIN)
    zoo.keep({"vit": zoo.Figures(1_234, 5_600_000, speed, score), "tiny": zoo.Figures(7, 8)})


def row(shown, name):
    return next(line for line in shown.splitlines() if line.split()[:1] == [name])


def test_every_architecture_is_listed_and_known():
    from tenfold.models import BUILDERS

    assert set(zoo.ABOUT) == set(BUILDERS) == set(zoo.figures())
    for line, paper in zoo.ABOUT.values():
        assert len(line) < 75
        assert not paper or paper.startswith("arXiv:")


def test_what_is_kept_comes_back(measured):
    found = zoo.figures()
    assert list(found) == ["vit", "tiny"]  # as they are listed, not as they came
    assert found["vit"].score.accuracy == 0.7654
    assert found["vit"].speed.origin == ORIGIN
    assert found["tiny"] == zoo.Figures(7, 8)


def test_machines_are_named_once_with_their_days():
    later = zoo.Score(0.5, 10, "15m", 1.0, zoo.Origin("", "2026-11-23", "A machine, 2 cores", "", ""))
    other = zoo.Score(0.5, 10, "15m", 1.0, zoo.Origin("", "2026-11-22", "Another, 4 cores", "", ""))
    first = zoo.Score(0.5, 10, "15m", 1.0, ORIGIN)
    assert zoo.machines([later, None, other, first]) == [
        "A machine, 2 cores, 2026-11-21 to 2026-11-23",
        "Another, 4 cores, 2026-11-22",
    ]


def test_the_list_tells_sizes_speeds_scores_and_where_they_are_from(measured, capsys):
    assert cli.main(["models"]) == 0
    shown = capsys.readouterr().out
    names = [line.split()[0] for line in shown.splitlines()[1 : 1 + len(zoo.ABOUT)]]
    assert names == list(zoo.ABOUT)
    for word in ("1,234", "5.6 M", "322", "76.5 %", "arXiv:2010.11929"):
        assert word in row(shown, "vit")
    assert row(shown, "fast").split()[1:5] == ["-"] * 4
    assert "A machine, 2 cores, 2026-11-21" in shown


def test_a_column_that_nothing_is_known_for_is_left_out(measured, capsys):
    zoo.keep({name: dataclasses.replace(figures, score=None) for name, figures in zoo.figures().items()})
    assert cli.main(["models"]) == 0
    shown = capsys.readouterr().out
    assert "15 minutes" not in shown
    assert row(shown, "vit").split()[1:6] == ["1,234", "5.6", "M", "322", "Vision"]


def test_the_list_as_json_is_an_object_an_architecture(measured, capsys):
    assert cli.main(["models", "--json"]) == 0
    listed = {found["name"]: found for found in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(listed) == list(zoo.ABOUT)
    assert listed["vit"]["speed"]["origin"]["machine"] == "A machine, 2 cores"
    assert listed["vit"]["score"]["epochs"] == 6.5
    assert listed["tiny"]["paper"] is None


def test_the_list_loads_neither_keras_nor_torch():
    code = "import sys; from tenfold import cli; cli.main(['models']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "wideresnet" in done.stdout
    assert not {"keras", "torch"} & set(done.stdout.split("\n")[-2].split())


def test_one_is_shown_with_options_and_layers(measured, capsys):
    assert cli.main(["models", "vit"]) == 0
    shown = capsys.readouterr().out
    assert row(shown, "patch").split() == ["patch", "4"]
    assert row(shown, "patches").split()[1] == "EinsumDense"
    assert "Dosovitskiy" in shown
    assert cli.main(["models", "resnet56", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["options"] == {"depth": 56, "width": 16, "shortcut": "pad", "attention": "none"}
    assert told["layers"][-1] == {"name": "logits", "kind": "Dense", "output": [10], "parameters": 650}


def test_an_unknown_one_is_answered_with_the_nearest(capsys):
    assert cli.main(["models", "resnet21"]) == 2
    assert "Did you mean 'resnet20'" in capsys.readouterr().err


def test_speed_is_measured_here(measured, capsys):
    assert cli.main(["models", "tiny", "--measure", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images_per_second_here"] > 10
