"""Each form of a run's model against the others: how fast, how large, how right."""

from tenfold.bench.contest import Bench, Row, bench

__all__ = ["Bench", "Row", "bench"]
