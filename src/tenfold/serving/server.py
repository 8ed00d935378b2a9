"""The process: a socket, uvicorn on it with bounds on connections and headers, signals, an orderly end."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tenfold import machine
from tenfold.errors import ResourceError, Stopped, TenfoldError, UsageError
from tenfold.serving.app import build
from tenfold.serving.limits import Limits
from tenfold.serving.messages import Error, Problem
from tenfold.serving.roster import Roster
from tenfold.serving.service import Service

_SPARE = 128  # open files beside the connections


def serve(
    roster: Roster,
    limits: Limits,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    cors: Sequence[str] = (),
    log: Callable[[bytes], None] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> None:
    """Serves until SIGINT or SIGTERM, then answers what it has accepted; SIGHUP opens changed models anew.

    The socket listens at once; the server is ready when all models are open and warm.

    Args:
        roster: the models, not opened yet.
        limits: bounds.
        host: address to listen on; "127.0.0.1" is for this machine alone, "0.0.0.0" for all that reach it.
        port: 0 for any free one.
        token: asked of everybody but for the page and the health checks.
        cors: as for `build`.
        log: takes one line of JSON a request.
        tell: takes sentences for people: where it listens, when it is ready, what was reloaded.

    Raises:
        Stopped: after a signal.
        UsageError, ResourceError: the address cannot be listened on.
        TenfoldError: a model cannot be opened, see `Roster.load`.
    """
    machine.return_memory()
    _allow_files(limits.connections + _SPARE)
    # Exceptions of routes are told with their traceback; damaged requests are nothing to write home about.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    with _listening(host, port) as listener:
        place = f"[{host}]" if ":" in host else host
        address = f"http://{place}:{listener.getsockname()[1]}"
        config = uvicorn.Config("", log_config=None)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            caught = runner.run(_served(roster, limits, listener, address, token, cors, log, tell))
    raise Stopped("Stopped. All that was accepted has been answered.", 128 + caught)


async def _served(
    roster: Roster,
    limits: Limits,
    listener: socket.socket,
    address: str,
    token: str | None,
    cors: Sequence[str],
    log: Callable[[bytes], None] | None,
    tell: Callable[[str], None],
) -> int:
    """Runs to the end; returns the signal that ended it."""
    service = Service(roster, limits, token, lambda: len(server.server_state.connections))
    server = _Server(
        uvicorn.Config(
            build(service, cors=cors, log=log),
            http=_bounded(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=limits.idle,  # type: ignore[arg-type]  # fractions of a second work too
            timeout_graceful_shutdown=int(limits.timeout) + 5,
        )
    )
    caught = 0

    def stop(number: int) -> None:
        nonlocal caught
        server.force_exit = caught != 0  # who asks twice does not want to wait
        caught = number
        service.stopping = server.should_exit = True

    async def reload() -> None:
        try:
            found = await service.reload()
        except TenfoldError as problem:
            tell(f"Not reloaded, the models stay as they were. {problem}")
            return
        tell(
            f"Reloaded: {', '.join(found.replaced)}." if found.replaced else "Reloaded: nothing had changed."
        )

    reloads: set[asyncio.Task] = set()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, lambda: reloads.add(loop.create_task(reload())))
    serving = asyncio.create_task(server.serve([listener]))
    tell(f"Listening on {address}, opening {', '.join(roster.names)}.")
    try:
        await asyncio.to_thread(roster.load)
        gc.collect()
        gc.freeze()  # what has been loaded stays; looking through it again would hold up requests
        if not caught:
            engines = {name: model.reason for name, model in roster.models.items()}
            tell(f"Ready on {address}. " + " ".join(f"{name}: {why}" for name, why in engines.items()))
        await serving
    finally:
        server.should_exit = True
        await serving
        await service.close()
    return caught


class _Server(uvicorn.Server):
    """uvicorn's server, with signals left to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, for strangers: bounds the headers, the time they take, and the connections."""

    limits: Limits
    _size = 0  # bytes of a first line and headers that are not whole yet
    _deadline: asyncio.TimerHandle | None = None
    _headed = False  # whether the headers of a request became whole
    _in_body = False
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "busy", f"Too many connections. Expected at most {self.limits.connections}.")
        else:  # as after each answer, so that a silent client is not kept for ever
            self.timeout_keep_alive_task = self.loop.call_later(
                self.limits.idle, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        between = self.cycle is None or self.cycle.response_complete
        self._headed = False
        super().data_received(data)
        if not between or self._headed or self._refused:
            return
        # Between two answers: a part of the next headers, or of a body that nobody waits for any more.
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.timeout, self._late)
        if not self._in_body:
            self._size += len(data)
            if self._size > self.limits.max_header_bytes:
                self._too_long(f"{self._size:,} bytes and more")

    def on_headers_complete(self) -> None:
        self._in_time()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.max_header_bytes:
            self._too_long(f"{size:,} bytes")
            return
        self._headed = self._in_body = True
        self._size = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        if not self._refused:
            super().on_message_complete()

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._refuse(408, "too_slow", f"The request came too slowly. Allowed: {self.limits.timeout:g} s.")

    def _too_long(self, received: str) -> None:
        most = f"{self.limits.max_header_bytes:,}"
        self._refuse(
            431,
            "too_large",
            f"The headers are too long. Expected at most {most} bytes. Received: {received}.",
        )

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answers without asking the routes, and closes the connection."""
        self._refused = True
        self._in_time()
        if self.transport.is_closing():
            return
        body = msgspec.json.encode(Error(Problem(code, message)))
        lines = [
            STATUS_LINE[status],
            b"content-type: application/json\r\nconnection: close\r\n",
            b"retry-after: 1\r\n" if status == 503 else b"",
            b"content-length: %d\r\n\r\n" % len(body),
            body,
        ]
        self.transport.write(b"".join(lines))
        self.transport.close()


def _bounded(limits: Limits) -> type[_Protocol]:
    """The protocol with these limits; uvicorn makes one for each connection."""
    return type("Protocol", (_Protocol,), {"limits": limits})


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except PermissionError:
        raise ResourceError(
            f"No permission to listen there. Choose a --port above 1023. Received: port={port}"
        ) from None
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Cannot listen there: {reason}. Choose another --port or --host. Received: host={host}, "
            f"port={port}"
        ) from None
    with listener:
        yield listener


def _allow_files(count: int) -> None:
    """Raises the number of files this process may open, as far as it may; each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
