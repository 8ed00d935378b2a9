"""`tenfold explain` as users meet it: words in; PNG files, lines and an exit code out."""

import json

import pytest
from PIL import Image

from tenfold import cli, datasets, images

QUICK = ["digits", "--recipe", "tiny", "--epochs", "1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    assert cli.main(["train", *QUICK, "--runs", str(runs), "--name", "made", "--quiet"]) == 0
    return runs / "made"


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of the same name, and one that is none."""
    digits = datasets.load("digits", "train")
    for row, folder in enumerate(("holiday", "party")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.png").write_bytes(images.encode_png(digits.images[row]))
    (tmp_path / "party" / "text.png").write_text("no picture")
    return tmp_path


def test_every_picture_gets_a_file_and_bad_ones_are_named(run, pictures, capsys):
    assert cli.main(["explain", str(run), str(pictures)]) == 3
    shown = capsys.readouterr()
    folder = run / "explanations"
    first, second = shown.out.splitlines()
    assert first.startswith(f"{pictures / 'holiday' / 'one.png'}: ")
    assert first.endswith(f" -> {folder / 'one.png'}")
    assert second.endswith(f" -> {folder / 'one-2.png'}")
    assert str(pictures / "party" / "text.png") in shown.err
    assert "Computing the features of 1,294 training pictures" in shown.err
    with Image.open(folder / "one-2.png") as drawn:
        assert drawn.width > 1000
    assert (run / "features" / "train.npz").exists()


def test_json_a_class_a_method_and_a_folder(run, pictures, capsys):
    words = [
        "explain",
        str(run),
        str(pictures / "holiday"),
        "--json",
        "--class",
        "7",
        "--method",
        "gradcam++",
    ]
    assert cli.main([*words, "--nearest", "2", "--output", str(pictures / "out")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == str(pictures / "out" / "one.png")
    assert said["explained"]["label"] == "7"
    assert said["method"] == "gradcam++"
    assert len(said["nearest"]) == 2
    assert (pictures / "out" / "one.png").exists()


def test_without_pictures_it_shows_the_model(run, capsys):
    assert cli.main(["explain", str(run)]) == 0
    names = [f"overview-{name}.png" for name in ("filters", "feature-maps", "map")]
    assert capsys.readouterr().out.splitlines() == [str(run / "explanations" / name) for name in names]
    assert all((run / "explanations" / name).stat().st_size > 1000 for name in names)


def test_wrong_words_are_named(run, pictures, capsys):
    place = str(pictures / "holiday")
    assert cli.main(["explain", str(run), place, "--class", "seven"]) == 2
    assert "Unknown class. Received: 'seven'" in capsys.readouterr().err
    assert cli.main(["explain", str(run), place, "--method", "gradcam+"]) == 2
    assert "gradcam++" in capsys.readouterr().err
    assert cli.main(["explain", str(run.parent / "mede"), place]) == 2
    assert "Did you mean 'made'" in capsys.readouterr().err
