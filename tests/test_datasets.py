import subprocess
import sys

import pytest

from tenfold.datasets import Dataset, Source, find, load
from tenfold.errors import DataError, UsageError


def test_find_reads_nothing_and_load_is_its_short_form():
    source = find("digits")
    assert isinstance(source, Source)
    data = load("digits", "test")
    assert isinstance(data, Dataset)
    assert data.ids == source.read("test").ids


def test_notes_of_the_source_come_with_the_pictures(picture_folder):
    assert "held out" in load(picture_folder({"cat": 5, "dog": 5})).notes[0]


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("cifra10", UsageError, "Did you mean 'cifar10'"),
        ("pets", UsageError, "A path to a folder or file does as well"),
        ("data/pets", DataError, "does not exist"),
        ("pets.tar.gz", DataError, "does not exist"),
    ],
)
def test_what_is_not_there_is_told_apart(source, kind, words):
    with pytest.raises(kind, match=words):
        find(source)


def test_settings_out_of_range_are_refused_before_any_reading():
    with pytest.raises(UsageError, match="image_size must be 8 to 256"):
        find("cifar10", image_size=1000)
    with pytest.raises(UsageError, match="Did you mean 'squash'"):
        find("cifar10", fit="squish")
    with pytest.raises(UsageError, match="Did you mean 'train'"):
        load("digits", "trian")


def test_a_file_of_another_kind_is_named(tmp_path):
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(DataError, match="is no data set"):
        find(tmp_path / "notes.md")


def test_importing_the_readers_loads_no_heavy_package():
    program = (
        "import sys, tenfold.datasets;"
        "print([name for name in ('keras', 'torch', 'sklearn', 'pyarrow', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
