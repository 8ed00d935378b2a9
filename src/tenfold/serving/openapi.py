"""The OpenAPI document: what each route takes and gives, with the schemas of `messages`."""

from collections.abc import Mapping, Sequence
from typing import Any

import tenfold
from tenfold.serving import messages
from tenfold.serving.limits import Limits

_KINDS = (
    messages.Answers,
    messages.Explained,
    messages.Models,
    messages.Samples,
    messages.Health,
    messages.Reloaded,
    messages.Error,
)
_BYTES = {"type": "string", "format": "binary"}
_BASE64 = {"type": "string", "format": "byte"}
_REFUSALS = {
    400: "The request is malformed.",
    404: "There is no such thing.",
    408: "The request came too slowly.",
    413: "The request is too large.",
    415: "The body is of a kind that can be no picture.",
    422: "A picture cannot be read.",
    503: "Too much to do, or not ready; see Retry-After.",
    504: "The answer took too long.",
}


def document(limits: Limits, names: Sequence[str], token: bool) -> dict[str, Any]:
    """The document of a server.

    Args:
        limits: named where they bound a request.
        names: of the models.
        token: whether the server asks for one.
    """
    named = {"type": "string", "enum": list(names)}
    model = _query("model", "Name of the model; the first one where none is named.", named)
    top = _query("top", "How many classes to list.", {"type": "integer", "minimum": 1, "default": 5})
    label = _query("label", "The class to look for; the most probable one by default.", {"type": "string"})
    bounds = (
        f"At most {limits.max_pictures} pictures, {limits.max_bytes:,} bytes in all, and "
        f"{limits.max_pixels:,} pixels each."
    )
    paths = {
        "/predict": _post("Name what is on pictures", [model, top], _body(bounds), "Answers"),
        "/explain": _post(
            "Show which parts of a picture speak for a class",
            [model, label],
            _body("One picture."),
            "Explained",
            "image/png",
        ),
        "/models": _get("The models, and the limits of a request", "Models", 503),
        "/models/{name}/card": _get("The model card", "text/markdown", 404, 503, named=named),
        "/models/{name}/samples": _get("Pictures to try", "Samples", 404, 503, named=named),
        "/models/{name}/samples/{number}.png": _get(
            "One of them", "image/png", 404, 503, named=named, more=[_path("number", {"type": "integer"})]
        ),
        "/health/live": _get("Whether the process answers at all", "Health", secure=False),
        "/health/ready": _get("Whether it takes requests", "Health", 503, secure=False),
        "/metrics": _get("Counts for Prometheus", "text/plain"),
        "/openapi.json": _get("This document", "application/json"),
        "/admin/reload": {
            "post": {
                "summary": "Open anew the models that have changed; needs a token",
                "responses": _responses("Reloaded", (), 403, 422),
            }
        },
        "/v1/models/{name}": _get("TensorFlow Serving: status", "application/json", 404, 503, named=named),
        "/v1/models/{name}/metadata": _get(
            "TensorFlow Serving: inputs and outputs", "application/json", 404, 503, named=named
        ),
        "/v1/models/{name}:predict": _tensorflow("probabilities", "instances", named),
        "/v1/models/{name}:classify": _tensorflow("classes and their probabilities", "examples", named),
    }
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tenfold",
            "version": tenfold.__version__,
            "description": "Pictures in, names and calibrated probabilities out.",
        },
        "paths": paths,
        "components": {"schemas": messages.known(_KINDS)},
    }
    if token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _query(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _path(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _body(bounds: str) -> dict[str, Any]:
    one = {"type": "object", "required": ["image"], "properties": {"image": _BASE64}}
    many = {
        "type": "object",
        "required": ["images"],
        "properties": {"images": {"type": "array", "items": _BASE64}},
    }
    form = {"type": "object", "properties": {"image": {"type": "array", "items": _BYTES}}}
    return {
        "required": True,
        "description": f"A picture file, a form with files, or base64 in JSON. {bounds}",
        "content": {
            "application/octet-stream": {"schema": _BYTES},
            "image/*": {"schema": _BYTES},
            "multipart/form-data": {"schema": form},
            "application/json": {"schema": {"oneOf": [one, many]}},
        },
    }


def _content(kind: str) -> dict[str, Any]:
    if "/" in kind:
        return {kind: {}}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind}"}}}


def _responses(kind: str, more: tuple[str, ...], *codes: int) -> dict[str, Any]:
    good = {**_content(kind), **{name: {} for name in more}}
    refused = {
        str(code): {"description": _REFUSALS.get(code, "Refused."), "content": _content("Error")}
        for code in codes
    }
    return {"200": {"description": "Done.", "content": good}, **refused}


def _get(
    summary: str,
    kind: str,
    *codes: int,
    named: Mapping[str, Any] | None = None,
    more: list[dict[str, Any]] | None = None,
    secure: bool = True,
) -> dict[str, Any]:
    parameters = [*([_path("name", named)] if named else []), *(more or [])]
    found = {"summary": summary, "parameters": parameters, "responses": _responses(kind, (), *codes)}
    return {"get": found if secure else {**found, "security": []}}


def _post(
    summary: str, parameters: list[dict[str, Any]], body: dict[str, Any], kind: str, *more: str
) -> dict[str, Any]:
    responses = _responses(kind, more, *_REFUSALS)
    return {
        "post": {
            "summary": summary,
            "parameters": parameters,
            "requestBody": body,
            "responses": responses,
        }
    }


def _tensorflow(gives: str, rows: str, named: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {rows: {"type": "array", "items": {}}}}
    return {
        "post": {
            "summary": f"TensorFlow Serving: {gives}",
            "parameters": [_path("name", named)],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {
                "200": {"description": "Done.", "content": {"application/json": {}}},
                **{
                    str(code): {"description": said, "content": {"application/json": {}}}
                    for code, said in _REFUSALS.items()
                },
            },
        }
    }
