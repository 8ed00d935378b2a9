"""The folder of a diagnosis: JSON, fix list and a page that needs nothing beside itself."""

import json
import re

import pytest

from tenfold.datasets import fixes
from tenfold.doctor import doctor, write
from tenfold.doctor.findings import Diagnosis
from tenfold.doctor.sheet import contact_sheet
from tenfold.errors import UsageError


@pytest.fixture
def found(save, two_classes):
    copies = {
        "test/cat/9.png": two_classes["train/cat/1.png"],
        "train/dog/<b>.png": two_classes["train/dog/1.png"],
    }
    folder = save({**two_classes, **copies})
    (folder / "train/cat/0.png").write_bytes(b"")
    return doctor(folder, suspects="none")


def test_three_files_say_the_same(found, tmp_path):
    folder = write(found, tmp_path / "out" / "set")
    told = json.loads((folder / "findings.json").read_text())
    assert told["found"] == {"unreadable": 1, "duplicate-across": 1, "duplicate": 1}
    rows = fixes.read(folder / "fixes.csv")
    assert {(row.id, row.action) for row in rows} == {
        ("train/cat/0.png", "review"),
        ("train/cat/1.png", "exclude"),
        ("train/dog/<b>.png", "exclude"),
    }
    assert "Exact duplicates across splits" in (folder / "contact_sheet.html").read_text()


def test_an_earlier_diagnosis_is_kept_unless_asked(found, tmp_path):
    first = write(found, tmp_path / "set-1")
    assert write(found, tmp_path / "set-1").name == "set-1-2"
    assert write(found, tmp_path / "set-1", exist_ok=True) == first
    (first / "mine.txt").touch()
    with pytest.raises(UsageError, match="holds other things than a diagnosis"):
        write(found, first, exist_ok=True)


def test_the_page_stands_alone_and_names_are_escaped(found):
    page = contact_sheet(found)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page
    assert page.count("<img") == 4
    assert "<b>.png" not in page
    assert "&lt;b&gt;.png" in page


def test_nothing_found_is_said():
    assert "Nothing was found." in contact_sheet(Diagnosis("here", "folder", ("a", "b"), {"train": 4}, ()))
