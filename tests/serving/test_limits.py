"""Limits: sensible by themselves, and checked where they are given."""

import pytest

from tenfold.errors import UsageError
from tenfold.serving.limits import Limits


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"queue": 0}, "--queue must be 1 or more. Received: queue=0"),
        ({"wait": -1.0}, "--wait must be 0 or more. Received: wait=-1"),
        ({"max_bytes": 0}, "--max-bytes must be 1 or more"),
        ({"timeout": float("nan")}, "--timeout must be 1 or more"),
        ({"batch_size": 257}, "--batch-size must be 256 or less"),
    ],
)
def test_a_bound_that_cannot_be_is_told(given, said):
    with pytest.raises(UsageError) as error:
        Limits(**given)
    assert said in str(error.value)


def test_the_usual_bounds_hold_a_photograph_and_not_a_bomb():
    usual = Limits()
    assert usual.max_pixels > 4000 * 3000
    assert usual.max_pixels * 3 < 64 * 2**20
    assert usual.held_bytes < 100 * 2**20
