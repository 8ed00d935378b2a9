"""Rows on the disk read as an array does, and are copied in pieces only."""

import numpy as np
import pytest

from tenfold.datasets.rows import Rows, pieces, select, stacked

ALL = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), np.uint8)


@pytest.fixture
def mapped(tmp_path):
    ALL.tofile(tmp_path / "pixels")
    return np.memmap(tmp_path / "pixels", np.uint8, "r", shape=ALL.shape)


@pytest.mark.parametrize(
    "key",
    [
        *(0, -1, np.int64(7), slice(3, 9), slice(None, None, 7), slice(40, 50), [5, 5, 2]),
        *(np.array([29, 0, 13]), np.arange(30) % 3 == 0, np.array([], int)),
    ],
    ids=str,
)
def test_reading_is_that_of_an_array(mapped, key):
    order = np.random.default_rng(1).permutation(30)
    rows = Rows([mapped], order)
    found = rows[key]
    assert type(found) is np.ndarray
    assert np.array_equal(found, ALL[order][key])


def test_it_looks_like_an_array(mapped):
    rows = Rows([mapped], np.array([4, 2]))
    assert (rows.shape, rows.dtype, rows.ndim, len(rows), rows.nbytes) == ((2, 4, 4, 3), np.uint8, 4, 2, 96)
    assert [picture.tolist() for picture in rows] == ALL[[4, 2]].tolist()
    assert np.array_equal(np.asarray(rows), ALL[[4, 2]])
    with pytest.raises(IndexError):
        rows[2]
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(rows, copy=False)


def test_rows_of_rows_read_nothing(mapped):
    chosen = select(select(Rows([mapped]), np.array([9, 8, 7])), np.array([2, 0]))
    assert isinstance(chosen, Rows)
    assert chosen.parts[0] is mapped
    assert np.array_equal(chosen[:], ALL[[7, 9]])
    assert type(select(ALL, np.array([1]))) is np.ndarray


def test_parts_in_memory_and_on_the_disk_stand_behind_each_other(mapped):
    both = stacked([Rows([mapped], np.array([3, 1])), ALL[10:12], Rows([mapped, mapped], np.array([31]))])
    assert isinstance(both, Rows)
    expected = ALL[[3, 1, 10, 11, 1]]
    assert np.array_equal(both[:], expected)
    assert np.array_equal(both[[4, 0, 2]], expected[[4, 0, 2]])
    assert type(stacked([ALL[:2], ALL[2:]])) is np.ndarray


@pytest.mark.parametrize("rows", [None, np.array([20, 3, 3, 29, 11])])
def test_pieces_are_all_of_it_in_order(mapped, monkeypatch, rows):
    monkeypatch.setattr("tenfold.datasets.rows._PIECE", 100)  # two pictures
    found = list(pieces(Rows([mapped]), rows))
    assert max(map(len, found)) == 2
    assert np.array_equal(np.concatenate(found), ALL if rows is None else ALL[rows])
