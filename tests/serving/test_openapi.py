"""The OpenAPI document: names every route, and holds while hostile requests are made from it."""

import re

import pytest

pytest.importorskip("starlette", reason="needs the extra `serve`")

from tenfold.serving.limits import Limits
from tenfold.serving.openapi import document


def test_every_path_is_there_and_takes_its_method(server, pictures):
    told = server.ask("GET", "/openapi.json").json
    assert {"/predict", "/explain", "/models", "/metrics", "/v1/models/{name}:predict"} <= set(told["paths"])
    for path, methods in told["paths"].items():
        address = path.replace("{name}", "digits").replace("{number}", "0")
        for method in methods:
            found = server.ask(method.upper(), address, pictures[0] if method == "post" else None)
            assert found.code != 405
            assert str(found.code) in methods[method]["responses"] or path.endswith("card"), path
            if found.code == 404:
                assert found.json["error"]["code"] == "no_card"


def test_references_point_at_schemas_that_are_there():
    told = document(Limits(), ["fast"], token=True)
    names = re.findall(r"#/components/schemas/(\w+)", str(told))
    assert set(names) <= set(told["components"]["schemas"])
    assert told["security"] == [{"token": []}]
    assert told["paths"]["/health/live"]["get"]["security"] == []
    assert "security" not in document(Limits(), ["fast"], token=False)
