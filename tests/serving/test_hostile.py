"""Requests made from the OpenAPI document by schemathesis: whatever they hold, the server does not fail."""

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")


def test_no_request_makes_the_server_fail(server):
    document = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    asked = set()
    for found in document.get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case):
            code = case.call().status_code
            asked.add((case.path, code))
            assert code < 500

        ask()
        assert server.process.poll() is None
    assert {"/predict", "/explain", "/v1/models/{name}:predict"} <= {path for path, _ in asked}
    assert {200, 400, 404} <= {code for _, code in asked}
