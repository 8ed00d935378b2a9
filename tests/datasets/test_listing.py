"""CSV of paths and labels: what people bring, and what is said where it cannot be used."""

import codecs

import numpy as np
import pytest

from tenfold.datasets import find, load
from tenfold.datasets.holdout import hold_out
from tenfold.errors import DataError


@pytest.fixture
def listed(picture_folder):
    """A function that writes a list beside twenty pictures, in/0.png to in/19.png."""
    folder = picture_folder({"in": 20})

    def write(text, name="labels.csv"):
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def lines(rows, header="path,label"):
    return "\n".join([header, *rows])


USUAL = [f"in/{number}.png,{('cat', 'dog')[number % 2]}" for number in range(20)]


def test_a_list_is_a_source_like_any_other(listed):
    path = listed(lines(USUAL))
    source = find(path)
    assert (source.kind, source.splits, source.held_out) == ("list", ("train", "test"), True)
    assert source.class_names == ("cat", "dog")
    train, test = source.read("train"), source.read("test")
    assert (len(train), len(test)) == (18, 2)
    assert all(label == int(name[3:-4]) % 2 for name, label in zip(train.ids, train.labels, strict=True))
    assert list(train.ids) == sorted(train.ids)
    assert "2 of 20 pictures are held out" in source.notes[0]
    expected = [(name, label, path.parent / name) for name, label in zip(test.ids, test.labels, strict=True)]
    assert list(source.encoded("test")) == expected


def test_the_order_of_the_lines_does_not_matter(listed):
    first = load(listed(lines(USUAL)), "test").ids
    assert load(listed(lines(USUAL[::-1])), "test").ids == first
    # Exactly what hold_out takes from the sorted list:
    names = sorted(row.partition(",")[0] for row in USUAL)
    _, rows = hold_out(np.array([int(name[3:-4]) % 2 for name in names]), ("cat", "dog"), "")
    assert first == tuple(names[row] for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lines(USUAL, "File Name,Class"), id="names"),
        pytest.param("\n".join(USUAL), id="no-header"),
        pytest.param(codecs.BOM_UTF8 + lines(USUAL).encode(), id="utf-8-with-mark"),
        pytest.param(lines(USUAL).encode("utf-16"), id="utf-16"),
        pytest.param(lines(USUAL).replace(",", ";").replace("\n", "\r\n"), id="semicolons"),
        pytest.param(lines(USUAL).replace(",", "\t"), id="tabs"),
        pytest.param(lines(USUAL).replace("in/", "in\\"), id="backslashes"),
        pytest.param(lines(USUAL, "id,breed").replace(".png", ""), id="without-endings"),
        pytest.param(lines([f'"{row.replace(",", chr(34) + "," + chr(34))}"' for row in USUAL]), id="quotes"),
        pytest.param(lines([f"{row}," for row in USUAL]), id="one-comma-too-many"),
        pytest.param(lines([*USUAL, "", ",,"]), id="empty-rows"),
    ],
)
def test_many_ways_to_write_it_give_the_same(listed, text):
    source = find(listed(text))
    assert source.class_names == ("cat", "dog")
    assert len(source.read("train")) + len(source.read("test")) == 20


def test_a_file_of_any_name_is_told_by_its_content(listed):
    assert find(listed(lines(USUAL), "train.txt")).kind == "list"


def test_a_column_may_say_the_split(listed):
    words = ["train"] * 10 + ["Valid"] * 4 + ["val"] * 2 + ["test"] * 4
    rows = [f"{row},{word}" for row, word in zip(USUAL, words, strict=True)]
    source = find(listed(lines(rows, "path,label,split")))
    assert (source.splits, source.held_out) == (("train", "validation", "test"), False)
    assert [len(source.read(split)) for split in source.splits] == [10, 6, 4]
    assert source.read("test").ids == ("in/16.png", "in/17.png", "in/18.png", "in/19.png")


def test_whole_numbers_are_ordered_as_such(listed):
    rows = [f"in/{number}.png,{(9, 10, 100)[number % 3]}" for number in range(20)]
    assert find(listed(lines(rows))).class_names == ("9", "10", "100")


def test_what_is_missing_is_left_out_and_named(listed):
    rows = [*USUAL[:18], "in/gone.png,cat", "gone/too.png,dog", "in/18.png,", "in/2.png,cat"]
    source = find(listed(lines(rows)))
    assert len(source.read("train")) + len(source.read("test")) == 18
    notes = " ".join(source.notes)
    assert "Left out 1 rows of labels.csv without a label or a path." in notes
    assert "Left out 2 files of labels.csv that do not exist: in/gone.png, gone/too.png." in notes
    assert "Left out 1 rows of labels.csv that repeat others." in notes


def test_classes_that_training_lacks_are_for_those_who_ask(listed):
    words = ["train"] * 16 + ["test"] * 4
    rows = [f"{row},{word}" for row, word in zip([*USUAL[:19], "in/19.png,ant"], words, strict=True)]
    path = listed(lines(rows, "path,label,split"))
    with pytest.raises(DataError, match="classes that train lacks: ant"):
        find(path)
    assert find(path, strict=False).class_names == ("cat", "dog", "ant")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("path,label\n", "no training pictures", id="header-alone"),
        pytest.param(lines(USUAL).replace("in/", "out/"), "none of its 20 files is there", id="elsewhere"),
        pytest.param(lines(["in/0.png,cat", "in/1.png,cat"]), "one class only: cat", id="one-class"),
        pytest.param(lines([*USUAL, "in/1.png,cat"]), "lines 3 and 22: in/1.png has two labels", id="twice"),
        pytest.param(lines([*USUAL, "in/1,5.png,cat"]), "line 22: expected 2 cells", id="comma-in-a-name"),
        pytest.param(lines(["https://x.org/1.png,cat"]), "nothing is downloaded from a list", id="web"),
        pytest.param(lines(["in/0.png,cat,blue"], "path,label,split"), "split='blue'", id="no-split"),
        pytest.param(
            lines([f"in/{n}.png,name {n}" for n in range(20)]), "a label of its own", id="label-each"
        ),
        pytest.param("path,label\nä.png,cat\n".encode("latin-1"), "save it as", id="latin-1"),
    ],
)
def test_what_cannot_be_used_says_why_in_a_line(listed, text, words):
    path = listed(text)
    with pytest.raises(DataError, match=words) as caught:
        find(path)
    assert "\n" not in str(caught.value)
    assert "labels.csv" in str(caught.value)


def test_one_picture_in_two_splits_is_a_leak(listed):
    rows = [f"{row},{word}" for row, word in zip(USUAL, ["train", "test"] * 10, strict=True)]
    path = listed(lines([*rows, "in/0.png,cat,test"], "path,label,split"))
    with pytest.raises(DataError, match=r"in/0\.png has two splits"):
        find(path)


def test_a_folder_of_pictures_without_classes_points_to_its_list(listed):
    path = listed(lines(USUAL))
    for number in range(20):
        (path.parent / "in" / f"{number}.png").rename(path.parent / f"{number}.png")
    (path.parent / "in").rmdir()
    with pytest.raises(DataError, match=r"To train on the pictures that labels\.csv lists, give that file"):
        find(path.parent)


def test_unreadable_pictures_are_skipped_and_named(listed):
    path = listed(lines([f"{row},train" for row in USUAL] + ["in/x.png,cat,test"], "path,label,split"))
    (path.parent / "in" / "x.png").write_bytes(b"no picture")
    (path.parent / "in" / "5.png").write_bytes(b"")
    assert "in/5.png is empty" in load(path).notes[-1]
