"""What the routes share: models, batches, bounds and counts, and the way from a request to pictures."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np
from starlette.requests import Request

from tenfold.serving import bodies, messages
from tenfold.serving.access import KEY, Record
from tenfold.serving.batching import Batcher
from tenfold.serving.limits import Limits
from tenfold.serving.messages import Refusal
from tenfold.serving.metrics import Metrics
from tenfold.serving.roster import Model, Roster

# Pixels of a PNG that is decoded on the spot: a thread would cost more time than it saves.
_AT_ONCE = 128 * 128

T = TypeVar("T")


class Service:
    """What the routes share; made in the event loop that they run in.

    Args:
        roster: the models; opened by whoever runs the server.
        limits: bounds of a request and of all together.
        token: asked of everybody but for the page and the health checks; None for no token.
        connections: tells how many are open.

    Attributes:
        stopping: set once the server is about to stop; it is not ready from then on.
    """

    def __init__(
        self,
        roster: Roster,
        limits: Limits,
        token: str | None = None,
        connections: Callable[[], float] = lambda: 0,
    ):
        self.roster, self.limits, self.token = roster, limits, token
        self.metrics = Metrics(lambda: self.batcher.waiting, connections)
        self.batcher = Batcher(limits, self.metrics.batch)
        self.intake = bodies.Intake(limits)
        self.stopping = False
        # One thread, so that no more than one large picture takes memory at a time.
        self._decoder = ThreadPoolExecutor(1, "decoder")
        self._reloads = asyncio.Lock()

    async def away(self, work: Callable[..., T], *words: Any) -> T:
        """Runs work that takes long beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._decoder, work, *words)

    @asynccontextmanager
    async def in_time(self, request: Request) -> AsyncIterator[Record]:
        """A block that may take `Limits.timeout`; gives the request's record.

        Raises:
            Refusal: 408 where the body has not come by then, else 504.
        """
        record: Record = request.scope[KEY]
        try:
            async with asyncio.timeout(self.limits.timeout):
                yield record
        except TimeoutError:
            allowed = f"Allowed: {self.limits.timeout:g} s."
            if not record.whole:
                raise Refusal(
                    408,
                    "too_slow",
                    f"The request came too slowly. {allowed} Send a smaller picture.",
                    bodies.CLOSE,
                ) from None
            raise Refusal(504, "timeout", f"The answer took too long. {allowed} Try again later.") from None

    async def pictures(self, request: Request, model: Model, record: Record) -> np.ndarray:
        """The pictures of a request as the model takes them, uint8 (n, size, size, 3).

        Raises:
            Refusal: the request is malformed or too large. DataError: a picture cannot be read.
        """
        content_type = request.headers.get("content-type", "")
        kind = bodies.kind(request)
        async with self.intake.body(request) as body:
            record.bytes, record.whole, record.model = len(body), True, model.facts.name
            if bodies.raw(kind) and _small(body):
                found = model.read(body, "the file", self.limits.max_pixels)[None]
            else:
                found = await self.away(self._decoded, body, content_type, model)
        record.pictures = len(found)
        return found

    def _decoded(self, body: bytes, content_type: str, model: Model) -> np.ndarray:
        files = bodies.files(body, content_type, self.limits)
        names = [f"file {number}" for number in range(1, len(files) + 1)] if files[1:] else ["the file"]
        read = [
            model.read(file, name, self.limits.max_pixels) for file, name in zip(files, names, strict=True)
        ]
        return np.stack(read)

    async def reload(self) -> messages.Reloaded:
        """Opens anew the models that have changed, while the old ones answer; one such call after another.

        Raises:
            TenfoldError: one could not be opened.
        """
        async with self._reloads:
            return await asyncio.to_thread(self.roster.reload)

    async def close(self) -> None:
        """Answers what has been accepted and ends the threads."""
        self.stopping = True
        await self.batcher.close()
        self._decoder.shutdown()


def _small(body: bytes) -> bool:
    """Whether it is a PNG that says it is small. One that lies is caught where it is decoded."""
    if body[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    width, height = int.from_bytes(body[16:20], "big"), int.from_bytes(body[20:24], "big")
    return width * height <= _AT_ONCE
