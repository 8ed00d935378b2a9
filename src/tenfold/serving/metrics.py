"""What the server counts, in the text format of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server; every method is cheap enough for each request.

    Args:
        queue: tells how many pictures wait for the model.
        connections: tells how many connections are open.
    """

    def __init__(self, queue: Callable[[], float] = lambda: 0, connections: Callable[[], float] = lambda: 0):
        self._registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        self._requests = Counter("tenfold_requests", "Requests answered.", ("route", "code"), registry=own)
        self._seconds = Histogram(
            "tenfold_request_seconds",
            "From a request's headers to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=own,
        )
        self._pictures = Counter("tenfold_pictures", "Pictures answered.", ("model",), registry=own)
        self._unsure = Counter("tenfold_not_sure", "Pictures answered `not sure`.", ("model",), registry=own)
        self._sizes = Histogram(
            "tenfold_batch_pictures", "Pictures that shared a pass.", buckets=_SIZES, registry=own
        )
        self._passes = Histogram(
            "tenfold_batch_seconds", "Time of a pass of the model.", buckets=_SECONDS, registry=own
        )
        waiting = Gauge("tenfold_queue_pictures", "Pictures that wait for the model.", registry=own)
        waiting.set_function(queue)
        opened = Gauge("tenfold_connections", "Open connections.", registry=own)
        opened.set_function(connections)
        # Finding a child by its labels costs more than counting with it.
        self._by_route: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def request(self, route: str, code: int, seconds: float) -> None:
        """Counts a request that has been answered."""
        key = (route, code)
        if key not in self._by_route:
            self._by_route[key] = self._requests.labels(route, str(code)), self._seconds.labels(route)
        counter, histogram = self._by_route[key]
        counter.inc()
        histogram.observe(seconds)

    def answered(self, model: str, pictures: int, unsure: int) -> None:
        """Counts answers of a model."""
        self._pictures.labels(model).inc(pictures)
        if unsure:
            self._unsure.labels(model).inc(unsure)

    def batch(self, pictures: int, seconds: float) -> None:
        """Counts a pass of a model."""
        self._sizes.observe(pictures)
        self._passes.observe(seconds)

    def text(self) -> bytes:
        """All of it, as `GET /metrics` answers."""
        return generate_latest(self._registry)
