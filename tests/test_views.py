"""Test-time views: what each shows, and how their answers are averaged."""

import typing

import numpy as np
import pytest

from tenfold.cli import evaluate, predict
from tenfold.errors import UsageError
from tenfold.views import VIEWS, View, apply, averaged, indices, mean

PICTURE = np.arange(3 * 4, dtype=np.uint8).reshape(1, 3, 4, 1).repeat(3, axis=-1)  # rows 0-3, 4-7, 8-11


def seen(view, images=PICTURE):
    return apply(images, view)[0, :, :, 0].tolist()


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", VIEWS)
def test_weights_add_up_to_one_and_the_plain_picture_comes_first(name):
    assert sum(view.weight for view in VIEWS[name]) == 1
    first = VIEWS[name][0]
    assert (first.mirror, first.down, first.right) == (False, 0, 0)
    assert len(set(VIEWS[name])) == len(VIEWS[name])


def test_the_command_line_offers_every_set():
    for verb in (evaluate, predict):
        choices = typing.get_type_hints(verb.Options)["views"]
        assert typing.get_args(choices) == tuple(VIEWS)


def test_mirror_exchanges_left_and_right():
    assert seen(View(True, 0, 0, 1)) == [[3, 2, 1, 0], [7, 6, 5, 4], [11, 10, 9, 8]]


def test_moves_fill_with_the_row_and_column_next_to_the_edge():
    assert seen(View(False, 1, 1, 1)) == [[5, 4, 5, 6], [1, 0, 1, 2], [5, 4, 5, 6]]
    assert seen(View(False, -1, -1, 1)) == [[5, 6, 7, 6], [9, 10, 11, 10], [5, 6, 7, 6]]


def test_a_view_moves_before_it_mirrors():
    moved = apply(PICTURE, View(False, 1, 1, 1))
    assert (apply(PICTURE, View(True, 1, 1, 1)) == moved[:, :, ::-1]).all()


@pytest.mark.parametrize("view", [view for views in VIEWS.values() for view in views])
def test_moves_are_crops_of_the_picture_padded_by_reflection(view):
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 9, 3), np.uint8)
    before = images.copy()
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    cut = padded[:, 1 - view.down : 9 - view.down, 1 - view.right : 10 - view.right]
    shown = apply(images, view)
    assert (shown == (cut[:, :, ::-1] if view.mirror else cut)).all()
    assert shown.dtype == np.uint8
    assert shown.flags.c_contiguous  # torch takes no negative strides
    assert (images == before).all()


def test_pictures_of_one_pixel_have_nothing_to_show_but_it():
    rows, columns = indices(View(True, 1, -1, 1), 1, 1)
    assert (np.arange(1)[rows], np.arange(1)[columns]) == (0, 0)


def test_the_mean_of_logarithms_is_the_mean_of_logits():
    views = VIEWS["shift"]
    logits = np.random.default_rng(0).normal(0, 5, (len(views), 40, 10))
    weights = np.array([view.weight for view in views])[:, None, None]
    got = mean([softmax(one).astype(np.float32) for one in logits], views)
    np.testing.assert_allclose(got, softmax((weights * logits).sum(axis=0)), atol=1e-6)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)


def test_certain_answers_that_contradict_each_other_stay_finite():
    answers = [np.array([[1.0, 0.0, 0.0]], np.float32), np.array([[0.0, 1.0, 0.0]], np.float32)]
    np.testing.assert_allclose(mean(answers, VIEWS["flip"]), [[0.5, 0.5, 0]], atol=1e-6)


def left_half(images):
    """Says whether the left half is the brighter one; a mirror turns the answer around."""
    half = images.shape[2] // 2
    left, right = images[:, :, :half].mean(axis=(1, 2, 3)), images[:, :, half:].mean(axis=(1, 2, 3))
    return softmax(np.stack([left, right], axis=1) / 10).astype(np.float32)


def test_mirrored_pictures_get_the_same_answer():
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    steady = averaged(left_half, "flip")
    np.testing.assert_allclose(steady(images), steady(images[:, :, ::-1]), atol=1e-6)
    np.testing.assert_allclose(steady(images), 0.5, atol=1e-6)
    assert not np.allclose(left_half(images), 0.5, atol=1e-2)


def test_one_view_is_the_function_itself():
    assert averaged(left_half, "none") is left_half


def test_no_pictures_give_no_rows():
    assert averaged(lambda images: np.empty((0, 2), np.float32), "shift")(PICTURE[:0]).shape == (0, 2)


def test_an_unknown_set_is_named():
    with pytest.raises(UsageError, match=r"Unknown set of views. Received: 'flop'. Did you mean 'flip'"):
        averaged(left_half, "flop")
