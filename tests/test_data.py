"""`tenfold data`: what is in a data set, and what augmentation makes of it, without Keras."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tenfold import cli


def test_show_writes_a_png_and_prints_its_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", "show", "digits", "--augment", "flip=random,crop=4,mixup=0.2"]) == 0
    assert capsys.readouterr().out == "augmentation.png\n"
    with Image.open(tmp_path / "augmentation.png") as picture:
        assert picture.width > 1000 < picture.height  # eight columns, six rows


def test_show_takes_settings_as_train_does(tmp_path, capsys):
    words = [
        "--recipe",
        "augmented",
        "--augment",
        "crop=4",
        "--rotation",
        "5",
        "--set",
        "augmentation.mixup=0.3",
    ]
    path = tmp_path / "new" / "a.png"
    few = ["--pictures", "2", "--draws", "2", "--json"]
    assert cli.main(["data", "show", "digits", *words, *few, "-o", str(path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(path)
    assert path.exists()
    found = {name: value for name, value in told["augmentation"].items() if value not in (0, "none")}
    wanted = {"flip": "random", "crop": 4, "rotation": 5, "shift": 0.1, "mixup": 0.3, "magnitude": 9}
    assert found == wanted


def test_info_prints_splits_classes_and_sizes(picture_folder, capsys):
    folder = picture_folder({"train/cat": 12, "train/a [b]": 3, "val/cat": 2, "test/cat": 1, "test/a [b]": 1})
    assert cli.main(["data", "info", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder} (folder)"
    assert lines[1] == "15 train, 2 validation, 2 test pictures of 2 classes, 8 x 8 pixels"
    rows = [line.split() for line in lines[3:6]]
    assert rows == [
        ["class", "train", "validation", "test"],
        ["a", "[b]", "3", "0", "1"],
        ["cat", "12", "2", "1"],
    ]


def test_info_as_json(capsys):
    assert cli.main(["data", "info", "digits", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["counts"]["test"]) == 359
    assert told["sizes"] == [[32, 32], [32, 32]]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["shwo", "digits"], 2, "Did you mean 'show'?"),
        (["show", "digit"], 2, "Did you mean 'digits'?"),
        (["info", "none/"], 3, "none/ does not exist"),
        (["show", "digits", "--augment", "heavy"], 2, "Choices: light, medium, none, strong"),
        (["show", "digits", "--draws", "0"], 2, "draws must be 1 to 40. Received: draws=0"),
        (["show", "digits", "--mixup", "-1"], 2, "augmentation.mixup must be 0 or more"),
        (["show", "digits", "-o", "taken/a.png"], 6, "Choose another --output"),
        ([], 2, "is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line(words, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    assert cli.main(["data", *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_it_needs_no_keras(tmp_path):
    program = (
        "import sys; from tenfold.cli import main; "
        "code = main(['data', 'show', 'digits', '--crop', '2', '--pictures', '1', '--draws', '1']); "
        "sys.exit(code or 9 * bool({'keras', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.asarray(Image.open(tmp_path / "augmentation.png")).size
