"""Batches: everybody gets their own answer, and what waits together is answered together."""

import asyncio
import threading
import time

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra `serve`")

from tenfold.serving.batching import Batcher, sizes
from tenfold.serving.limits import Limits
from tenfold.serving.messages import Refusal


def pictures(*values):
    return np.stack([np.full((2, 2, 3), value, np.uint8) for value in values])


class Model:
    """Answers each picture with its own first pixel; remembers the sizes of its batches."""

    def __init__(self, seconds=0.0):
        self.seen, self.seconds, self.threads = [], seconds, set()

    def __call__(self, batch):
        time.sleep(self.seconds)
        self.seen.append(len(batch))
        self.threads.add(threading.current_thread().name)
        first = batch[:, 0, 0, 0].astype(np.float32)
        return np.stack([first, -first], axis=1), first / 10


def run(work, **limits):
    """Runs `work(batcher)` in an event loop of its own and closes the batcher."""

    async def whole():
        batcher = Batcher(Limits(**limits))
        try:
            return await work(batcher)
        finally:
            await batcher.close()

    return asyncio.run(whole())


def test_each_gets_their_own_answer():
    model = Model(0.001)

    async def work(batcher):
        return await asyncio.gather(*(batcher.submit(model, pictures(n, n + 1)) for n in range(100)))

    for n, (answers, familiar) in enumerate(run(work)):
        np.testing.assert_array_equal(answers, [[n, -n], [n + 1, -n - 1]])
        np.testing.assert_allclose(familiar, [n / 10, n / 10 + 0.1], rtol=1e-6)
    assert sum(model.seen) == 200
    assert model.threads == {"model"}


def test_what_comes_during_a_pass_shares_the_next():
    model = Model(0.02)

    async def work(batcher):
        await asyncio.gather(*(batcher.submit(model, pictures(n)) for n in range(64)))

    run(work, batch_size=32)
    assert max(model.seen) == 32
    assert len(model.seen) < 12
    assert set(model.seen) <= set(sizes(32))


def test_an_idle_model_waits_for_company_only_when_told_to():
    async def work(batcher):
        first = asyncio.create_task(batcher.submit(model, pictures(1)))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, batcher.submit(model, pictures(2)))

    model = Model()
    run(work)
    assert model.seen == [1, 1]
    model = Model()
    run(work, wait=200)
    assert model.seen == [2]


def test_models_do_not_share_passes_and_take_turns():
    one, other = Model(0.005), Model(0.005)

    async def work(batcher):
        models = [one, other] * 20
        return await asyncio.gather(*(batcher.submit(model, pictures(9)) for model in models))

    assert len(run(work)) == 40
    assert sum(one.seen) == sum(other.seen) == 20


def test_a_full_queue_is_told_with_a_time_to_come_back():
    model = Model(0.05)

    async def work(batcher):
        waiting = [asyncio.create_task(batcher.submit(model, pictures(n))) for n in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as refused:
            await batcher.submit(model, pictures(1))
        assert refused.value.status_code == 503
        assert refused.value.headers == {"retry-after": "1"}
        await asyncio.gather(*waiting)
        await batcher.submit(model, pictures(1))  # there is room again

    run(work, queue=8)


def test_whoever_gives_up_costs_no_pass():
    model = Model(0.05)

    async def work(batcher):
        first = asyncio.create_task(batcher.submit(model, pictures(1)))
        await asyncio.sleep(0.01)
        lost = asyncio.create_task(batcher.submit(model, pictures(2)))
        await asyncio.sleep(0)
        lost.cancel()
        await first
        await batcher.submit(model, pictures(3))
        assert batcher.waiting == 0

    run(work)
    assert model.seen == [1, 1]


def test_what_an_engine_raises_reaches_those_who_asked_and_nobody_else():
    def broken(batch):
        raise ValueError("no")

    async def work(batcher):
        with pytest.raises(ValueError, match="no"):
            await batcher.submit(broken, pictures(1))
        return await batcher.submit(Model(), pictures(4))

    assert run(work)[0][0, 0] == 4


def test_closing_answers_what_has_come_and_takes_no_more():
    model = Model(0.02)

    async def work(batcher):
        waiting = [asyncio.create_task(batcher.submit(model, pictures(n))) for n in range(40)]
        await asyncio.sleep(0)
        await batcher.close()
        assert len(await asyncio.gather(*waiting)) == 40
        with pytest.raises(Refusal, match="about to stop"):
            await batcher.submit(model, pictures(1))

    async def whole():
        await work(Batcher(Limits(batch_size=8)))

    asyncio.run(whole())
