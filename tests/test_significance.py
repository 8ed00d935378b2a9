"""Paired tests and intervals, held to scipy and to plain resampling."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from tenfold.errors import UsageError
from tenfold.significance import bootstrap, holm, in_words, mcnemar


@pytest.mark.parametrize(("a", "b"), [(0, 5), (1, 7), (3, 12), (40, 61), (700, 640)])
def test_mid_p_is_scipys_exact_p_less_the_point_itself(a, b):
    exact = binomtest(min(a, b), a + b).pvalue
    assert mcnemar(a, b) == pytest.approx(exact - binom.pmf(min(a, b), a + b, 0.5), rel=1e-9)
    assert mcnemar(a, b) == mcnemar(b, a)


def test_mid_p_of_the_example_of_its_authors():
    assert mcnemar(1, 7) == pytest.approx(0.0391, abs=5e-5)


def test_even_counts_say_nothing():
    assert mcnemar(0, 0) == mcnemar(1, 1) == mcnemar(250, 250) == 1.0


def test_tens_of_thousands_of_pictures_keep_their_small_p():
    assert 0 < mcnemar(9_000, 11_000) < 1e-40
    assert mcnemar(10_000, 10_050) == pytest.approx(0.7240, abs=1e-3)  # as of z = 50 / sqrt(20050)


def test_negative_counts_are_refused():
    with pytest.raises(UsageError, match="only_first=-1"):
        mcnemar(-1, 2)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert holm([0.02]) == (0.02,)
    assert holm([]) == ()


def test_the_interval_is_that_of_redrawn_pictures():
    first, second, n = 60, 90, 1000
    gains = np.repeat([-1, 1, 0], [first, second, n - first - second])
    random = np.random.default_rng(1)
    means = [random.choice(gains, n).mean() for _ in range(4000)]
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(bootstrap(first, second, n), expected, atol=0.0015)


def test_the_interval_repeats_with_its_seed_and_grows_with_its_level():
    assert bootstrap(5, 9, 100) == bootstrap(5, 9, 100)
    low, high = bootstrap(5, 9, 100, level=0.5)
    wide_low, wide_high = bootstrap(5, 9, 100)
    assert wide_low < low <= 0.04 <= high < wide_high
    assert bootstrap(0, 0, 100) == (0.0, 0.0)


@pytest.mark.parametrize("counts", [(-1, 2, 10), (6, 5, 10), (0, 0, 0)])
def test_counts_that_do_not_fit_are_refused(counts):
    with pytest.raises(UsageError, match="Received: only_first="):
        bootstrap(*counts)


def test_p_values_in_words():
    assert [in_words(p) for p in (1e-12, 0.0213, 0.7)] == ["p < 0.001", "p = 0.021", "p = 0.70"]
