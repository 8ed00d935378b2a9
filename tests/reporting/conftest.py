"""A finished run and its page, shared by the tests of the report."""

import pytest

from digits_run import build
from tenfold.reporting import report


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A finished run, evaluated on validation and on test. Shared: tests must not change it."""
    return build(tmp_path_factory.mktemp("runs"), test=True)


@pytest.fixture(scope="session")
def page(digits_run):
    """The text of the report of `digits_run`."""
    return report(digits_run).read_text(encoding="utf-8")


@pytest.fixture
def make_run(tmp_path):
    """A function that makes a run of its own, for tests that change it; see `build`."""
    return lambda **options: build(tmp_path / "runs", **options)
