"""Answers: asked in pieces, of plain pictures and views. What is checked, `test_evaluation` tries."""

import numpy as np
import pytest

from tenfold import answers
from tenfold.answers import ask, checked
from tenfold.errors import UsageError
from tenfold.views import VIEWS


def by_corner(images):
    """Sure of class 1 in proportion to how bright the top left pixel is."""
    share = images[:, 0, 0, 0] / 255
    return np.column_stack([1 - share, share])


def test_pieces_come_together_in_order(monkeypatch):
    monkeypatch.setattr(answers, "_CHUNK_BYTES", 24)  # two pictures of 2 x 2 x 3
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 3), np.uint8)
    (found,) = ask(by_corner, images, 2)
    np.testing.assert_allclose(found, by_corner(images), atol=1e-6)
    assert found.dtype == np.float32


def test_each_view_is_asked():
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 3), np.uint8)
    plain, mirrored = ask(by_corner, images, 2, VIEWS["flip"])
    np.testing.assert_allclose(plain, by_corner(images), atol=1e-6)
    np.testing.assert_allclose(mirrored, by_corner(images[:, :, ::-1]), atol=1e-6)


def test_what_is_no_probability_is_refused():
    with pytest.raises(UsageError, match="summing to 3"):
        checked([[1, 2]], 1, 2)
