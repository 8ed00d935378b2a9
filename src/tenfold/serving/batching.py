"""One thread that runs the models, on as many pictures at a time as are waiting.

Pictures come one by one from many connections, and a model answers 64 of them hardly later than one. What
arrives during one pass shares the next; nothing waits for a clock unless `Limits.wait` says so.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import numpy as np

from tenfold.serving.limits import Limits
from tenfold.serving.messages import later

ObserveFn = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""uint8 (n, h, w, 3) to probabilities (n, classes), and familiarity (n,) or None."""

# An engine prepares itself for each size of batch that it meets, so there are only a few: a pass takes the
# largest of them that is waiting, and the rest comes next.
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def sizes(most: int) -> tuple[int, ...]:
    """How many pictures a pass may have, up to `most`."""
    return (*(size for size in _SIZES if size < most), most)


class _Job:
    """A request's pictures, and the answers so far."""

    __slots__ = ("done", "left", "observe", "rows")

    def __init__(self, observe: ObserveFn, count: int, done: asyncio.Future):
        self.observe, self.left, self.done = observe, count, done
        self.rows: list[tuple[np.ndarray, float | None]] = [(np.empty(0), None)] * count


class _Place:
    """One picture in the queue."""

    __slots__ = ("came", "job", "number", "picture")

    def __init__(self, job: _Job, number: int, picture: np.ndarray, came: float):
        self.job, self.number, self.picture, self.came = job, number, picture, came


class Batcher:
    """Answers pictures in batches; made, asked and closed in one event loop.

    Args:
        limits: size of a batch, wait, and length of the queue.
        passed: is told the size and the seconds of each pass, from the thread of the model.

    Attributes:
        waiting: pictures that have no answer yet.
    """

    def __init__(self, limits: Limits, passed: Callable[[int, float], None] = lambda size, seconds: None):
        self.waiting = 0
        self._limits, self._passed = limits, passed
        self._sizes = sizes(limits.batch_size)
        self._queue: SimpleQueue[_Place | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._open = True  # as the event loop knows it
        self._ended = False  # as the thread knows it: no picture comes any more
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    async def submit(self, observe: ObserveFn, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The model's answers to pictures.

        Args:
            observe: the model; the pictures of one model share passes.
            pictures: uint8 (n, h, w, 3), n from 1.

        Returns:
            Probabilities (n, classes), and familiarity (n,) or None.

        Raises:
            Refusal: 503, as the queue is full or the server stops.
        """
        if not self._open:
            raise later("stopping", "The server is about to stop.")
        count = len(pictures)
        if self.waiting + count > self._limits.queue:
            raise later(
                "busy",
                f"Too many pictures wait already. Expected: {self._limits.queue} at most. "
                f"Received: {count} more than {self.waiting}.",
            )
        job = _Job(observe, count, self._loop.create_future())
        now = time.perf_counter()
        self.waiting += count
        try:
            for number in range(count):
                self._queue.put(_Place(job, number, pictures[number], now))
            return await job.done
        finally:
            self.waiting -= count

    async def close(self) -> None:
        """Answers what has come, takes no more, and ends the thread."""
        self._open = False
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        waiting: dict[ObserveFn, deque[_Place]] = {}  # the model that has waited longest comes first
        while self._collect(waiting):
            observe = next(iter(waiting))
            # Whoever has given up, by a timeout or by going away, costs the model nothing.
            places = deque(place for place in waiting.pop(observe) if not place.job.done.cancelled())
            count = max((size for size in self._sizes if size <= len(places)), default=0)
            batch = [places.popleft() for _ in range(count)]
            if places:
                waiting[observe] = places  # the other models get their turn first
            if batch:
                self._answer(observe, batch)

    def _collect(self, waiting: dict[ObserveFn, deque[_Place]]) -> bool:
        """Takes in what has come; False where nothing waits and nothing will come."""
        if not waiting and not self._ended:
            self._take(waiting, self._queue.get())
        while waiting and not self._ended:
            places = next(iter(waiting.values()))
            left = places[0].came + self._limits.wait / 1000 - time.perf_counter()
            try:
                if left > 0 and len(places) < self._limits.batch_size:
                    self._take(waiting, self._queue.get(timeout=left))
                else:
                    self._take(waiting, self._queue.get_nowait())
            except Empty:
                break
        return bool(waiting)

    def _take(self, waiting: dict[ObserveFn, deque[_Place]], place: _Place | None) -> None:
        if place is None:
            self._ended = True
        else:
            waiting.setdefault(place.job.observe, deque()).append(place)

    def _answer(self, observe: ObserveFn, batch: Sequence[_Place]) -> None:
        start = time.perf_counter()
        try:
            answers, familiar = observe(np.stack([place.picture for place in batch]))
        except Exception as error:  # whatever an engine raises belongs to the requests of this batch
            self._loop.call_soon_threadsafe(_fail, batch, error)
            return
        self._passed(len(batch), time.perf_counter() - start)
        self._loop.call_soon_threadsafe(_deliver, batch, answers, familiar)


def _deliver(batch: Sequence[_Place], answers: np.ndarray, familiar: np.ndarray | None) -> None:
    for row, place in enumerate(batch):
        job = place.job
        job.rows[place.number] = answers[row], None if familiar is None else familiar[row]
        job.left -= 1
        if not job.left and not job.done.done():
            probabilities = np.stack([found for found, _ in job.rows])
            known = None if familiar is None else np.array([like for _, like in job.rows], np.float32)
            job.done.set_result((probabilities, known))


def _fail(batch: Sequence[_Place], error: Exception) -> None:
    for place in batch:
        if not place.job.done.done():
            place.job.done.set_exception(error)
