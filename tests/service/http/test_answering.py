"""Who leaves early: callers who close their connection, and the service that shuts down."""

import asyncio
from collections.abc import AsyncIterator

from tests.support.app import refused, serving, top
from tests.support.images import encoded, noise, plain


async def test_a_shutdown_answers_what_is_in_flight_and_refuses_the_rest(repository):
    async with serving(repository) as (client, engine):
        upload = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield plain("green")[:20]
            await upload.wait()
            yield plain("green")[20:]

        admitted = asyncio.ensure_future(client.post("/v1/classify", content=slow()))
        while not engine.in_flight:
            await asyncio.sleep(0)
        draining = asyncio.ensure_future(engine.drain())
        await asyncio.sleep(0)
        assert (await client.get("/readyz")).status_code == 503
        refused(await client.post("/v1/classify", content=plain()), 503, "draining")
        assert not draining.done()
        upload.set()
        assert top(await admitted) == ["green"]
        await draining


async def test_a_caller_who_leaves_is_forgotten(repository):
    async with serving(repository) as (client, engine):
        tasks = [asyncio.ensure_future(client.post("/v1/classify", content=encoded(noise(800)))) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert top(await client.post("/v1/classify", content=plain("blue"))) == ["blue"]
        assert engine.in_flight == 0
        assert all(counts.waiting == 0 for counts in engine.statistics().values())
