"""Whether a difference between two classifiers, seen on the same pictures, is more than chance.

Tests and intervals for paired answers, from counts alone: how many pictures only one of the two gets right.
"""

from collections.abc import Sequence

import numpy as np

from tenfold.errors import UsageError

CHANCE = 0.05
"""A difference counts as more than chance where its p-value, corrected where need be, lies below this."""


def mcnemar(only_first: int, only_second: int) -> float:
    """The probability of pictures that divide two equally good classifiers so unevenly, or more so.

    McNemar's test in its mid-p form, from the exact binomial distribution: it keeps the promised rate of
    false alarms in practice, where the exact test is too cautious, and holds for few pictures, where the
    chi-squared test does not. Computed in whole numbers, so exact for any counts.

    Source: Q. McNemar, Psychometrika 12 (1947), 153-157; mid-p as M. W. Fagerland, S. Lydersen and P. Laake
    recommend, BMC Medical Research Methodology 13:91 (2013).

    Args:
        only_first: pictures that only the first classifier gets right, 0 or more.
        only_second: the same for the second.

    Returns:
        In (0, 1], two-sided; 1 where the counts are equal.

    Raises:
        UsageError: a negative count.

    Example:
        >>> round(mcnemar(3, 12), 4)
        0.0213
    """
    if min(only_first, only_second) < 0:
        raise UsageError(
            f"Counts must be 0 or more. Received: only_first={only_first}, only_second={only_second}"
        )
    n, fewer = only_first + only_second, min(only_first, only_second)
    below, here = 0, 1  # ways to draw fewer than `k` of n, and k of n
    for k in range(fewer):
        below, here = below + here, here * (n - k) // (k + 1)
    return min(1.0, (2 * below + here) / 2**n)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Corrects p-values for how many there are: the chance of any false alarm stays that of a single test.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979), 65-70.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    scaled = np.minimum(1.0, values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(scaled)
    return tuple(corrected.tolist())


def bootstrap(
    only_first: int, only_second: int, n: int, *, level: float = 0.95, seed: int = 0, resamples: int = 10_000
) -> tuple[float, float]:
    """The percentile interval of a difference of accuracies over redrawn sets of the same pictures.

    The difference depends on nothing but how many pictures only one of the two gets right, so these counts
    are drawn, from the multinomial distribution that redrawing pictures gives them.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979), 1-26.

    Args:
        only_first: of the n pictures, those that only the first classifier gets right.
        only_second: the same for the second.
        n: all pictures, those that both or none gets right among them; 1 or more.
        level: confidence, between 0 and 1.
        seed: of the draws.
        resamples: how many sets are drawn.

    Returns:
        Lower and upper bound of accuracy of the second minus of the first.

    Raises:
        UsageError: counts that do not fit n.
    """
    if n < 1 or min(only_first, only_second) < 0 or only_first + only_second > n:
        raise UsageError(
            "Counts must be 0 or more and add up to n at most. "
            f"Received: only_first={only_first}, only_second={only_second}, n={n}"
        )
    shares = [only_first / n, only_second / n, (n - only_first - only_second) / n]
    drawn = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    tail = (1 - level) / 2
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / n, [tail, 1 - tail])
    return float(low), float(high)


def in_words(p_value: float) -> str:
    """A p-value as people write it.

    Example:
        >>> in_words(0.0213), in_words(1e-9)
        ('p = 0.021', 'p < 0.001')
    """
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}" if p_value < 0.1 else f"p = {p_value:.2f}"
