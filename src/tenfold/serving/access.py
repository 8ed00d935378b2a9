"""What surrounds every request: who may ask, what browsers are told, and one line in the log.

A log line holds the time, the route, the code and sizes. Neither pictures nor names of files, nor addresses
of clients, nor what was answered.
"""

import datetime
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenfold.serving.messages import error
from tenfold.serving.metrics import Metrics

KEY = "tenfold"
"""Where a request's `Record` stands in its scope."""

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_GONE = 499  # the client went away before there was an answer; no code of the standard says so


class Record(msgspec.Struct):
    """What the routes tell of a request: its model, its pictures, and the bytes of its body once all came."""

    model: str = ""
    pictures: int = 0
    bytes: int = 0
    whole: bool = False


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the log."""

    time: str
    method: str
    route: str
    code: int
    milliseconds: float
    model: str = ""
    pictures: int = 0
    bytes: int = 0


class Access:
    """Counts, times and logs requests.

    Args:
        app: answers them.
        metrics: counts.
        routes: what an endpoint is called in log and metrics; a path from outside never is.
        log: takes one line of JSON a request, without the line end; None for no log.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        routes: Mapping[Any, str],
        log: Callable[[bytes], None] | None = None,
    ):
        self._app, self._metrics, self._routes, self._log = app, metrics, routes, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, record, code = time.perf_counter(), Record(), _GONE
        scope[KEY] = record

        async def told(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            seconds = time.perf_counter() - start
            route = self._routes.get(scope.get("endpoint"), "other")
            self._metrics.request(route, code, seconds)
            if self._log is not None:
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
                told_of = (record.model, record.pictures, record.bytes)
                line = Line(now, scope["method"], route, code, round(1000 * seconds, 2), *told_of)
                self._log(msgspec.json.encode(line))


class Guard:
    """Lets through who knows the token: `Authorization: Bearer TOKEN`.

    Args:
        app: answers them.
        token: as text.
        open_paths: that anybody may ask for.
    """

    def __init__(self, app: ASGIApp, token: str, open_paths: frozenset[str]):
        self._app, self._open = app, open_paths
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._open:
            given = dict(scope["headers"]).get(b"authorization", b"")
            # In constant time, so that nobody learns from a clock how much of a guess was right.
            if not hmac.compare_digest(given, self._expected):
                message = "This server asks for a token. Expected: Authorization: Bearer TOKEN."
                refusal = error(401, "unauthorized", message, {"www-authenticate": "Bearer"})
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
