import numpy as np
import pytest

from tenfold.datasets.labels import absent, check_labels, numbered
from tenfold.errors import DataError


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_whole_numbers_of_any_type_and_columns_become_int64(kind):
    labels = check_labels(np.array([[0], [2]], kind), 2, 3, "y")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 3], "from 0 to 2"),
        ([0, -1], "leave those rows out"),
        ([0], "1 labels, 2 pictures"),
        ([0.5, 1], "dtype=float64"),
        ([[1, 0, 0], [0, 1, 0]], "argmax"),
    ],
)
def test_unusable_labels_are_refused_with_the_value(values, words):
    with pytest.raises(DataError, match=words):
        check_labels(np.array(values), 2, 3, "y")


def test_absent_classes_are_said_in_one_sentence():
    assert absent(np.array([0, 1]), ("a", "b"), "test") == ()
    (note,) = absent(np.array([1]), ("a", "b", "c"), "train")
    assert note == "No train pictures of a, c: the model cannot learn them."


def test_numbered_classes():
    assert numbered(3) == ("0", "1", "2")
