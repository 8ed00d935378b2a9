"""Metrics: counted, and in the text format that Prometheus reads."""

import pytest

pytest.importorskip("prometheus_client", reason="needs the extra `serve`")


from tenfold.serving.metrics import Metrics


def values(text):
    """Every sample of the text by its name and labels."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_requests_pictures_and_batches_are_counted():
    metrics = Metrics(lambda: 7, lambda: 3)
    metrics.request("/predict", 200, 0.012)
    metrics.request("/predict", 200, 0.3)
    metrics.request("/predict", 503, 0.001)
    metrics.answered("fast", 5, 2)
    metrics.batch(48, 0.02)
    found = values(metrics.text().decode())
    assert found["tenfold_requests_total", "/predict", "200"] == 2
    assert found["tenfold_requests_total", "/predict", "503"] == 1
    assert found["tenfold_request_seconds_bucket", "/predict", "0.02"] == 2
    assert found["tenfold_request_seconds_count", "/predict"] == 3
    assert found["tenfold_pictures_total", "fast"] == 5
    assert found["tenfold_not_sure_total", "fast"] == 2
    assert found["tenfold_batch_pictures_bucket", "64.0"] == 1
    assert found["tenfold_batch_pictures_bucket", "32.0"] == 0
    assert found["tenfold_queue_pictures",] == 7
    assert found["tenfold_connections",] == 3


def test_two_servers_in_one_process_count_apart():
    one, other = Metrics(), Metrics()
    one.answered("fast", 5, 0)
    assert ("tenfold_pictures_total", "fast") not in values(other.text().decode())
