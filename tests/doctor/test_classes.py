"""Classes: missing, misnamed, strange, alike and uneven ones."""

import pytest

from tenfold.doctor.classes import check, nearest

EVEN = {"cat": 10, "dog": 10, "ship": 10}


def kinds(found):
    return [finding.kind for finding in found]


def test_even_classes_that_agree_give_no_finding():
    assert check(tuple(EVEN), {"train": EVEN, "test": {"cat": 1, "dog": 2, "ship": 1}}) == []


def test_a_class_that_a_split_lacks_is_missing():
    (found,) = check(tuple(EVEN), {"train": EVEN, "test": {"cat": 1, "dog": 1}})
    assert found.kind == "missing-class"
    assert found.message == "test has no picture of ship."


@pytest.mark.parametrize("name", ["Ship", "ships", "shipp", "s-hip"])
def test_a_near_name_is_told_as_the_class_that_was_meant(name):
    (found,) = check((*EVEN, name), {"train": EVEN, "test": {"cat": 1, "dog": 1, name: 4}})
    assert found.kind == "misnamed-class"
    assert found.details == {"split": "test", "class": name, "meant": "ship", "pictures": 4}


def test_a_name_like_no_other_is_strange():
    found = check((*EVEN, "zebra"), {"train": EVEN, "test": {**EVEN, "zebra": 4}})
    assert kinds(found) == ["strange-class"]


def test_names_that_differ_in_case_or_plural_alone_are_alike():
    (found,) = check(("Cats", "cat"), {"train": {"Cats": 5, "cat": 5}})
    assert found.kind == "similar-classes"


def test_classes_of_very_different_size_are_uneven():
    (found,) = check(("cat", "dog"), {"train": {"cat": 60, "dog": 10}})
    assert found.kind == "imbalance"
    assert found.details["ratio"] == 6
    assert nearest("cat", ["dog"]) is None
