"""Galleries: the surest mistakes first, and some of every kind where there are too many."""

import numpy as np

from tenfold.galleries import most_pictures, worth_showing


def answers(n=400, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.3), n)
    return rng.integers(0, classes, n), probabilities.argmax(axis=1), probabilities


def test_mistakes_come_first_and_the_surest_of_them_before_the_others():
    labels, predicted, probabilities = answers()
    rows = worth_showing(labels, predicted, probabilities, 1000)
    wrong = (labels != predicted)[rows]
    count = int((labels != predicted).sum())
    assert wrong[:count].all()
    assert not wrong[count:].any()
    assert (np.diff(probabilities.max(axis=1)[rows[:count]]) <= 0).all()
    assert [int((labels[rows[count:]] == c).sum()) for c in range(4)] == [6, 6, 6, 6]


def test_where_there_is_no_room_for_all_every_kind_is_there():
    labels, predicted, probabilities = answers()
    labels[:300], predicted[:300] = 0, 1  # one kind is far more common
    probabilities[:300] = [0.0, 1.0, 0.0, 0.0]  # and surer
    rows = worth_showing(labels, predicted, probabilities, 60)[:60]
    assert (labels[rows] != predicted[rows]).all()
    kinds = {(int(t), int(p)) for t, p in zip(labels[rows], predicted[rows], strict=True)}
    assert kinds == {(t, p) for t in range(4) for p in range(4) if t != p}
    assert (np.diff(probabilities.max(axis=1)[rows]) <= 0).all()


def test_small_pictures_are_kept_by_the_hundred_and_large_ones_by_the_dozen():
    assert most_pictures((32, 32, 3)) == 651
    assert most_pictures((256, 256, 3)) == 96


def test_no_mistakes_and_no_pictures_are_no_trouble():
    nothing = worth_showing(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3)), 10)
    assert len(nothing) == 0
    right = worth_showing(np.array([0, 1]), np.array([0, 1]), np.eye(2), 10)
    assert sorted(right) == [0, 1]
