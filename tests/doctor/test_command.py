"""tenfold doctor as users meet it."""

import json

from tenfold import cli


def test_blockers_end_with_3_and_the_files_are_named(save, two_classes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save({**two_classes, "test/cat/9.png": two_classes["train/cat/1.png"]})
    assert cli.main(["doctor", "set", "--suspects", "none"]) == 3
    shown = capsys.readouterr()
    assert "Exact duplicates across splits" in shown.out
    assert "in another split too, exactly or nearly: 1 (20.00%)." in shown.out
    assert shown.err.startswith("tenfold: Blockers: 1.")
    assert sorted(path.name for path in (tmp_path / "doctor/set").iterdir()) == [
        "contact_sheet.html",
        "findings.json",
        "fixes.csv",
    ]


def test_sound_data_end_with_0_and_json_is_one_object(save, two_classes, tmp_path, capsys):
    words = ["doctor", str(save(two_classes)), "--suspects=none", "--json", "-o", str(tmp_path / "out")]
    assert cli.main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == []
    assert told["output"] == str(tmp_path / "out")


def test_training_honours_the_fix_list(save, two_classes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save({**two_classes, "test/cat/9.png": two_classes["train/cat/1.png"]})
    cli.main(["doctor", "set", "--suspects", "none"])
    quick = ["--recipe", "tiny", "--epochs", "1", "--val-split", "0.2", "--precision", "float32", "--quiet"]
    assert cli.main(["train", "set", *quick, "--exclude", "doctor/set/fixes.csv"]) == 0
    recorded = json.loads((tmp_path / "runs/tiny/splits.json").read_text())
    assert recorded["excluded"] == {"train": ["train/cat/1.png"]}
    assert sum(part["count"] for part in recorded["splits"].values()) == 11
    (tmp_path / "doctor/set/fixes.csv").unlink()  # the run remembers
    assert cli.main(["evaluate", "runs/tiny", "--split", "train", "--engine", "keras"]) == 0


def test_options_are_checked_before_any_work(capsys):
    assert cli.main(["doctor", "digits", "--time", "soon"]) == 2
    assert "time must be a time span" in capsys.readouterr().err
