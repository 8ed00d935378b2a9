"""The routes of the server, and how it answers a request: body, pictures, model, answer."""

import base64
import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tenfold import images, occlusion
from tenfold.errors import DataError, TenfoldError
from tenfold.serving import messages, metrics, openapi, tfserving
from tenfold.serving.access import Access, Guard
from tenfold.serving.messages import Refusal, answer, error
from tenfold.serving.service import Service

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OPEN = frozenset({*_FILES, "/health/live", "/health/ready"})  # without a token
_TOP = 5
_HEAT_SIDE = 256


def build(
    service: Service, *, cors: Sequence[str] = (), log: Callable[[bytes], None] | None = None
) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        service: what the routes share.
        cors: origins whose pages may ask, such as https://example.org; "*" for all.
        log: takes one line of JSON a request; None for no log.
    """
    own = _Api(service)
    routes = [*own.routes(), *tfserving.Api(service).routes()]
    inner = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _refused,
            DataError: _unreadable,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    inner.router.redirect_slashes = False
    app: ASGIApp = inner
    if service.token is not None:
        app = Guard(app, service.token, _OPEN)
    if cors:
        app = CORSMiddleware(
            app,
            allow_origins=list(cors),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
        )
    # Of two paths to one endpoint the first gives its name.
    names = {route.endpoint: route.path for route in reversed(routes)} | {own.file: "/"}
    return Access(app, service.metrics, names, log)


class _Api:
    """The house's own routes."""

    def __init__(self, service: Service):
        self._service = service
        self._page = {path: (_PAGE / name).read_bytes() for path, (name, _) in _FILES.items()}
        self._document = openapi.document(service.limits, service.roster.names, service.token is not None)

    def routes(self) -> list[Route]:
        """All of them, the busiest first."""
        return [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/explain", self.explain, methods=["POST"]),
            Route("/health/live", self.live),
            Route("/health/ready", self.ready),
            Route("/metrics", self.metrics),
            Route("/models", self.models),
            Route("/models/{name}/card", self.card),
            Route("/models/{name}/samples", self.samples),
            Route("/models/{name}/samples/{number:int}.png", self.sample),
            Route("/openapi.json", self.openapi),
            Route("/admin/reload", self.reload, methods=["POST"]),
            *(Route(path, self.file) for path in _FILES),
        ]

    async def predict(self, request: Request) -> Response:
        service = self._service
        top = _whole(request, "top", _TOP)
        async with service.in_time(request) as record:
            model = service.roster.get(request.query_params.get("model"))
            pictures = await service.pictures(request, model, record)
            found = model.answers(*await service.batcher.submit(model.observe, pictures), top)
        unsure = sum(not one.sure for one in found.predictions)
        service.metrics.answered(model.facts.name, len(pictures), unsure)
        return answer(found)

    async def explain(self, request: Request) -> Response:
        service = self._service
        async with service.in_time(request) as record:
            model = service.roster.get(request.query_params.get("model"))
            classes = model.facts.classes
            wanted = request.query_params.get("label")
            if wanted is not None and wanted not in classes:
                near = difflib.get_close_matches(wanted, classes, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                message = f"The model knows no such class. Received: label={wanted!r}.{hint}"
                raise Refusal(404, "unknown_label", message)
            pictures = await service.pictures(request, model, record)
            if len(pictures) > 1:
                message = f"One picture is explained at a time. Received: {len(pictures)}."
                raise Refusal(413, "too_many_pictures", message)
            shown = await service.away(occlusion.covered, pictures[0])
            probabilities, _ = await service.batcher.submit(model.observe, shown)
            place = int(probabilities[-1].argmax()) if wanted is None else classes.index(wanted)
            png = await service.away(_heat, probabilities[:, place], model.facts.image_size)
        if request.headers.get("accept", "").startswith("image/png"):
            return Response(png, media_type="image/png")
        image = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        share = round(float(probabilities[-1, place]), 6)
        found = messages.Explained(model.facts.name, model.facts.run, classes[place], share, image)
        return answer(found)

    async def live(self, request: Request) -> Response:
        return answer(messages.Health("live"))

    async def ready(self, request: Request) -> Response:
        if self._service.stopping or not self._service.roster.ready:
            state = "stopping" if self._service.stopping else "starting"
            return answer(messages.Health(state), 503, {"retry-after": "2"})
        return answer(messages.Health("ready"))

    async def metrics(self, request: Request) -> Response:
        return Response(self._service.metrics.text(), headers={"content-type": metrics.CONTENT_TYPE})

    async def models(self, request: Request) -> Response:
        limits = self._service.limits
        self._service.roster.get()  # refuses until there are any
        bounds = {
            name: getattr(limits, name) for name in ("max_bytes", "max_pixels", "max_pictures", "timeout")
        }
        return answer(messages.Models([one.facts for one in self._service.roster.models.values()], bounds))

    async def card(self, request: Request) -> Response:
        model = self._service.roster.get(request.path_params["name"])
        if model.card is None or not model.card.is_file():
            message = f"There is no card of {model.facts.name} yet. Write it with: tenfold export RUN"
            raise Refusal(404, "no_card", message)
        return Response(model.card.read_bytes(), media_type="text/markdown")

    async def samples(self, request: Request) -> Response:
        model = self._service.roster.get(request.path_params["name"])
        path = f"/models/{model.facts.name}/samples"
        listed = [messages.Sample(number, f"{path}/{number}.png") for number in range(len(model.samples))]
        return answer(messages.Samples(listed))

    async def sample(self, request: Request) -> Response:
        model, number = self._service.roster.get(request.path_params["name"]), request.path_params["number"]
        if number >= len(model.samples):
            raise Refusal(
                404,
                "not_found",
                f"There is no such sample. Expected: a number below {len(model.samples)}. Received: {number}",
            )
        return Response(model.samples[number], media_type="image/png")

    async def openapi(self, request: Request) -> Response:
        return answer(self._document)

    async def reload(self, request: Request) -> Response:
        if self._service.token is None:
            message = "Reloading over HTTP needs a token. Start with --token, or send the process SIGHUP."
            raise Refusal(403, "forbidden", message)
        try:
            return answer(await self._service.reload())
        except TenfoldError as problem:
            raise Refusal(422, "not_reloaded", f"The models stay as they were. {problem}") from problem

    async def file(self, request: Request) -> Response:
        path = request.url.path
        headers = {"cache-control": "no-cache"}
        if path == "/":
            headers |= {"content-security-policy": _POLICY, "permissions-policy": "camera=(self)"}
        return Response(self._page[path], media_type=_FILES[path][1], headers=headers)


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 10):
        raise Refusal(
            400, "bad_value", f"{name} must be a number of 1 or more. Received: {name}={text[:40]!r}"
        )
    return int(text)


def _heat(probabilities: np.ndarray, side: int) -> bytes:
    """A PNG of a heat map alone: yellow where it is hot, transparent where it is cold."""
    heat = occlusion.fall(probabilities, side, side)
    grey = Image.fromarray((255 * heat).round().astype(np.uint8))
    large = max(side, _HEAT_SIDE)
    smooth = np.asarray(grey.resize((large, large), Image.Resampling.BILINEAR))
    colour = np.empty((large, large, 4), np.uint8)
    colour[..., 0], colour[..., 1], colour[..., 2] = 255, 60 + smooth * 0.7, 30
    colour[..., 3] = smooth * 0.85
    return images.encode_png(colour)


async def _refused(request: Request, problem: Exception) -> Response:
    status, said = getattr(problem, "status_code", 500), str(getattr(problem, "detail", ""))
    headers = getattr(problem, "headers", None)
    code = getattr(problem, "code", {404: "not_found", 405: "method_not_allowed"}.get(status, "refused"))
    if not isinstance(problem, Refusal):  # Starlette's own: no such path, no such method
        said = f"{said}. Received: {request.method} {request.url.path[:80]}. All routes: GET /openapi.json"
    return _told(request, status, code, said, headers)


async def _unreadable(request: Request, problem: Exception) -> Response:
    said = str(problem)
    return _told(request, 422, "bad_picture", f"{said[:1].upper()}{said[1:]}")


async def _gone(request: Request, problem: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; it is for the log


async def _failed(request: Request, problem: Exception) -> Response:
    return _told(
        request,
        500,
        "fault",
        f"A fault in Tenfold ({type(problem).__name__}). The traceback is in the log of the server. "
        "Please report it.",
    )


def _told(request: Request, status: int, code: str, said: str, headers: Any = None) -> Response:
    if request.url.path.startswith("/v1/"):  # clients of TensorFlow Serving expect its form
        return answer({"error": said}, status, headers)
    return error(status, code, said, headers)
