"""Keys share a model's queue, whatever each of them brings."""

import asyncio

import numpy as np

from tests.support.batching import Model, running, settle_tasks


async def test_a_key_that_brings_much_does_not_keep_another_waiting():
    model = Model(gate_open=False)
    async with running(model, max_size=2) as batcher:

        async def ask(key: str, value: float) -> None:
            with batcher.reserve(1, key=key) as ticket:
                ticket.submit(np.array([[value]], np.float32))
                await ticket.answer()

        first = asyncio.ensure_future(ask("busy", 0))
        await model.busy()
        many = [asyncio.ensure_future(ask("busy", value)) for value in (1, 2, 3, 4, 5, 6)]
        few = [asyncio.ensure_future(ask("seldom", value)) for value in (10, 11)]
        await settle_tasks()
        model.gate.set()
        async with asyncio.timeout(10):
            await asyncio.gather(first, *many, *few)
    assert model.calls == [[0], [1, 10], [2, 11], [3, 4], [5, 6]]
