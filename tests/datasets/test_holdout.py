import numpy as np
import pytest

from tenfold.datasets.holdout import hold_out
from tenfold.errors import DataError


def test_rows_are_shared_out_by_class_without_overlap():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    train, test = hold_out(labels, ("a", "b", "c"), "set")
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(160))
    assert np.bincount(labels[test]).tolist() == [10, 5, 1]
    assert np.array_equal(test, hold_out(labels, ("a", "b", "c"), "set")[1])
    assert (np.diff(test) > 0).all()


def test_small_sets_give_every_class_a_chance():
    _, test = hold_out(np.array([0, 0, 1, 1, 2, 2]), ("a", "b", "c"), "set")
    assert len(test) == 3


def test_a_lone_picture_is_named():
    with pytest.raises(DataError, match=r"at least 2 pictures.*Received: b \(1\)"):
        hold_out(np.array([0, 0, 1]), ("a", "b"), "set")
