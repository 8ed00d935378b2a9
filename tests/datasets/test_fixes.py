"""The fix list: written, read, edited by people, and applied to training and validation alone."""

import numpy as np
import pytest

from tenfold.datasets import fixes
from tenfold.datasets.dataset import Dataset
from tenfold.datasets.fixes import Fix
from tenfold.errors import DataError

ROWS = (
    Fix("cat/a, b.png", "train", "exclude", 'shows "it" twice'),
    Fix("dog/1.png", "validation", "exclude", "blank"),
    Fix("dog/2.png", "test", "exclude", "someone wrote this"),
    Fix("dog/3.png", "train", "review", "looks like cat"),
)


def written(folder, text):
    path = folder / "fixes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read_again(tmp_path):
    assert fixes.read(written(tmp_path, fixes.to_csv([*ROWS, ROWS[0]]))) == ROWS


def test_a_spreadsheet_may_have_saved_it(tmp_path):
    text = "\ufeffaction,id,split\r\nexclude,a.png,train\r\n"
    assert fixes.read(written(tmp_path, text)) == (Fix("a.png", "train", "exclude", ""),)


def test_only_training_and_validation_lose_pictures():
    assert fixes.excluded(ROWS) == {"train": ("cat/a, b.png",), "validation": ("dog/1.png",)}


def test_pictures_are_left_out_by_name_and_split():
    data = Dataset(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 1, 1]), ("a", "b"), ("x", "y", "z"))
    assert fixes.leave_out(data, "train", {"train": ("y",)}).ids == ("x", "z")
    assert fixes.leave_out(data, "train", {"validation": ("y",)}) is data
    with pytest.raises(DataError, match="excludes all 3 train pictures"):
        fixes.leave_out(data, "train", {"train": ("x", "y", "z")})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no fix list.*an empty file"),
        ("name,reason\na,b\n", "no fix list.*Received: name, reason"),
        ("id,split,action\na,train,exlude\n", "Did you mean 'exclude'"),
    ],
)
def test_another_file_is_refused(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        fixes.read(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv cannot be read"):
        fixes.read(tmp_path / "gone.csv")
