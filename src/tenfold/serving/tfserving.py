"""The REST routes of TensorFlow Serving, so that its clients find a Tenfold server where they had theirs.

After its RESTful API document. A picture is nested lists of pixels, 0 to 255, or `{"b64": "..."}` with the
bytes of a file, alone or under any one name, in rows (`instances`) or in a column (`inputs`). There is one
signature for both; its output is `probabilities`. `:classify` names the classes, the most probable first.
"""

from typing import Any

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tenfold.errors import unknown
from tenfold.serving.bodies import from_base64, too_many
from tenfold.serving.messages import Refusal, answer
from tenfold.serving.roster import Model
from tenfold.serving.service import Service

_SIGNATURES = ("", "serving_default", "serve_bytes")
_FORMS = 'Expected: {"instances": [...]}, each nested lists of pixels or {"b64": "..."}'


class _Asked(msgspec.Struct):
    """What `:predict` and `:classify` take; whatever else stands there is left aside, as there."""

    signature_name: str = ""
    instances: Any = None
    inputs: Any = None
    examples: Any = None


class Api:
    """The routes, over what the house's own routes share."""

    def __init__(self, service: Service):
        self._service = service

    def routes(self) -> list[Route]:
        """All of them, each with and without a version."""
        found = []
        for path in ("/v1/models/{name}", "/v1/models/{name}/versions/{version}"):
            found += [
                Route(f"{path}/metadata", self.metadata),
                Route(f"{path}:predict", self.predict, methods=["POST"]),
                Route(f"{path}:classify", self.classify, methods=["POST"]),
                Route(f"{path}:regress", self.regress, methods=["POST"]),
                Route(path, self.status),
            ]
        return found

    async def status(self, request: Request) -> Response:
        facts = self._model(request).facts
        status = {"error_code": "OK", "error_message": ""}
        state = {"version": str(facts.version), "state": "AVAILABLE", "status": status}
        return answer({"model_version_status": [state]})

    async def metadata(self, request: Request) -> Response:
        facts = self._model(request).facts
        side = str(facts.image_size)
        signature = {
            "inputs": {"image": _tensor("image", "DT_UINT8", "-1", side, side, "3")},
            "outputs": {"probabilities": _tensor("probabilities", "DT_FLOAT", "-1", str(len(facts.classes)))},
            "method_name": "tensorflow/serving/predict",
        }
        spec = {"name": facts.name, "signature_name": "", "version": str(facts.version)}
        return answer(
            {
                "model_spec": spec,
                "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
            }
        )

    async def predict(self, request: Request) -> Response:
        _, asked, probabilities = await self._answered(request)
        column = asked.instances is None
        return answer({"outputs" if column else "predictions": probabilities.tolist()})

    async def classify(self, request: Request) -> Response:
        model, _, probabilities = await self._answered(request, examples=True)
        names = model.facts.classes
        ranked = np.argsort(-probabilities, axis=1, kind="stable")
        rows = zip(ranked.tolist(), probabilities.tolist(), strict=True)
        return answer({"result": [[[names[place], row[place]] for place in order] for order, row in rows]})

    async def regress(self, request: Request) -> Response:
        self._model(request)
        raise Refusal(400, "bad_value", "This model classifies and has no numbers to give. Use :classify.")

    def _model(self, request: Request) -> Model:
        name, version = request.path_params["name"], request.path_params.get("version")
        model = self._service.roster.get(name)
        if version not in (None, str(model.facts.version)):
            raise Refusal(
                404,
                "unknown_version",
                f"Servable not found for request: Specific({name}, {version}). There is version "
                f"{model.facts.version}.",
            )
        return model

    async def _answered(
        self, request: Request, *, examples: bool = False
    ) -> tuple[Model, _Asked, np.ndarray]:
        service = self._service
        async with service.in_time(request) as record:
            model = self._model(request)
            async with service.intake.body(request) as body:
                record.bytes, record.whole, record.model = len(body), True, model.facts.name
                asked, pictures = await service.away(self._pictures, body, model, examples)
            record.pictures = len(pictures)
            probabilities, _ = await service.batcher.submit(model.observe, pictures)
        service.metrics.answered(model.facts.name, len(pictures), 0)
        return model, asked, probabilities

    def _pictures(self, body: bytes, model: Model, examples: bool) -> tuple[_Asked, np.ndarray]:
        try:
            asked = msgspec.json.decode(body, type=_Asked)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refusal(400, "bad_json", f"JSON Parse error: {error}. {_FORMS}") from None
        if asked.signature_name not in _SIGNATURES:
            known = [name for name in _SIGNATURES if name]
            raise Refusal(400, "bad_value", unknown("signature_name", asked.signature_name, known))
        if examples and asked.examples is None:
            raise Refusal(
                400, "bad_value", f"Request must have examples. {_FORMS.replace('instances', 'examples')}"
            )
        if examples:
            rows = asked.examples
        elif (asked.instances is None) == (asked.inputs is None):
            raise Refusal(400, "bad_value", f"Request must have either instances or inputs. {_FORMS}")
        else:
            rows = asked.inputs if asked.instances is None else asked.instances
        rows = _bare(rows)
        if isinstance(rows, str | bytes) or not isinstance(rows, list):
            rows = [rows]  # a column of one may come without its brackets
        if not rows:
            raise Refusal(400, "no_picture", f"The request holds no picture. {_FORMS}")
        if len(rows) > self._service.limits.max_pictures:
            raise too_many(len(rows), self._service.limits)
        return asked, np.stack([self._picture(_bare(row), place, model) for place, row in enumerate(rows)])

    def _picture(self, row: Any, place: int, model: Model) -> np.ndarray:
        side = model.facts.image_size
        if isinstance(row, dict) and set(row) == {"b64"}:
            file = from_base64(row["b64"], f"picture {place + 1}")
            return model.read(file, f"file {place + 1}", self._service.limits.max_pixels)
        try:
            pixels = np.asarray(row, np.float32)
            good = pixels.shape == (side, side, 3) and bool(((pixels >= 0) & (pixels <= 255)).all())
            received = f"shape={list(pixels.shape)}"
            if good and (pixels == np.rint(pixels)).all():
                return pixels.astype(np.uint8)
        except (TypeError, ValueError):
            received = type(row).__name__
        raise Refusal(
            400,
            "bad_value",
            f"Picture {place + 1} cannot be used. Expected: {side} rows of {side} pixels of 3 whole numbers "
            f'from 0 to 255, or {{"b64": "..."}} with the bytes of a file. Received: {received}',
        )


def _bare(value: Any) -> Any:
    """What a name of an input stands for, whatever it is: there is one input."""
    if isinstance(value, dict) and len(value) == 1 and "b64" not in value:
        return next(iter(value.values()))
    return value


def _tensor(name: str, kind: str, *sizes: str) -> dict[str, Any]:
    shape = {"dim": [{"size": size, "name": ""} for size in sizes], "unknown_rank": False}
    return {"dtype": kind, "tensor_shape": shape, "name": f"{name}:0"}
