"""Cells and columns, however people write them."""

import codecs
from pathlib import Path

import pytest

from tenfold.datasets import columns
from tenfold.datasets.columns import Columns
from tenfold.errors import DataError

HERE = Path("list.csv")


@pytest.mark.parametrize(
    ("head", "is_table"),
    [
        (b"path,label\na.png,cat", True),
        (b"path\tlabel\r\n", True),
        (codecs.BOM_UTF8 + b"Bild;Klasse", True),
        ("Dateiname;Größe".encode()[:-2], True),  # cut within a letter
        ("a,b".encode("utf-16"), True),
        (b"hello", False),
        (b"", False),
        (b"\x89PNG,\0", False),
        (b"\xff\xd8\xff,", False),
    ],
)
def test_a_table_is_told_from_other_files(head, is_table):
    assert columns.is_table(head) is is_table


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", "])
def test_cells_are_separated_by_what_the_first_line_has(separator):
    content = f'file name{separator}label\n\n"a, b; c.png"{separator}x\n'
    assert list(columns.rows(HERE, content)) == [(1, ["file name", "label"]), (3, ["a, b; c.png", "x"])]


def test_a_quote_without_an_end_is_named_with_its_line():
    with pytest.raises(DataError, match=r"list\.csv, line 2 cannot be read"):
        list(columns.rows(HERE, 'path,label\n"a.png,cat\n'))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["path", "label"], [], Columns(0, 1, None, True)),
        (["Label", "File Name", "Split"], [], Columns(1, 0, 2, True)),
        (["", "image_path", "width", "class"], [], Columns(1, 3, None, True)),
        (["id", "breed"], [], Columns(0, 1, None, True)),  # the one column that is left
        (["which", "what"], ["a.jpg", "cat"], Columns(0, 1, None, True)),
        (["id", "image", "target"], [], Columns(1, 2, None, True)),
        (["a.png", "cat"], [], Columns(0, 1, None, False)),
        (["cat", "deep\\a.PNG", "val"], [], Columns(1, 0, 2, False)),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_columns_are_known_by_name_or_content(first, second, expected):
    assert columns.columns(HERE, first, second) == expected


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (["path", "width", "height"], "no column with labels.*Received: path, width, height"),
        (["label", "colour"], "no column with paths"),
        (["a.png", "cat", "brown"], "no header and 3 columns"),
        (["a.png"], "no header and 1 columns"),
    ],
)
def test_what_cannot_be_told_is_asked_for(first, words):
    with pytest.raises(DataError, match=words) as caught:
        columns.columns(HERE, first)
    assert "path,label" in str(caught.value)
