"""The power law: finds the curve that errors come from, and admits what a few points do not say."""

import numpy as np
import pytest

from tenfold.powerlaw import FARTHEST, Point, fit

SIZES = (4500, 11250, 22500, 45000)


def law(size, floor=0.04, reach=0.06, power=0.5):
    return floor + reach * (size / 45000) ** -power


def points(sizes=SIZES, judged=5000, noise=0.0, seeds=1, **shape):
    random = np.random.default_rng(0)
    return [
        Point(size, law(size, **shape) * (1 + noise * random.normal()), judged)
        for size in sizes
        for _ in range(seeds)
    ]


def test_the_curve_is_found_within_its_intervals():
    found = fit(points())
    for size in (*SIZES, 90_000):
        band = found.error(size)
        assert band.low < law(size) < band.high
        assert band.middle == pytest.approx(law(size), rel=0.05)
    needed = found.pictures(law(90_000))
    assert needed.low < 90_000 < needed.high
    assert found.power.low < 0.5 < found.power.high
    assert found.floor.low < 0.04 < found.floor.high


def test_intervals_widen_away_from_the_points_and_narrow_with_seeds():
    found = fit(points(noise=0.02))
    widths = [found.error(size).high - found.error(size).low for size in (45_000, 180_000)]
    assert widths[1] > widths[0]
    more = fit(points(noise=0.02, seeds=6))
    assert more.error(180_000).high - more.error(180_000).low < widths[1]
    assert more.floor.high - more.floor.low < found.floor.high - found.floor.low


def test_what_no_number_of_pictures_reaches_is_never_reached():
    found = fit(points(floor=0.08, reach=0.02, power=0.8, judged=50_000, seeds=5))
    assert found.pictures(0.02).middle > FARTHEST * 45_000
    assert found.pictures(0.02).high == np.inf
    assert found.pictures(0.5).middle < 4500


def test_points_off_every_law_widen_the_intervals():
    smooth = fit(points(judged=10**6))
    bent = fit([*points(sizes=SIZES[:3], judged=10**6), Point(45_000, 0.15, 10**6)])
    size = 90_000
    assert bent.error(size).high - bent.error(size).low > 2 * (
        smooth.error(size).high - smooth.error(size).low
    )


@pytest.mark.parametrize("errors", [(0.0, 0.0, 0.0), (0.2, 0.1, 0.0), (0.1, 0.1, 0.1), (0.1, 0.2, 0.3)])
def test_odd_errors_give_finite_bounds_that_hold_each_other(errors):
    found = fit([Point(size, error, 100) for size, error in zip((10, 20, 40), errors, strict=True)])
    band = found.error(80)
    assert 0 <= band.low <= band.middle <= band.high < 1
    assert set(found.to_dict()) == {"floor", "power"}
