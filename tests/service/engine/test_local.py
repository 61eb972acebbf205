"""From one version to the next under load: who is answered by which, and what is given back."""

import asyncio
import gc
import weakref

import pytest

from service.config import Settings
from service.engine import Engine
from service.engine.loading import Loaded
from service.errors import ModelNotFound
from service.http.app import assemble
from service.runtime import Session
from tests.support.app import serving, top
from tests.support.colours import publish_colours
from tests.support.control import EXPLICIT, POLL, classified, index, slow_visit, states, until


async def test_a_restart_serves_what_served_before_a_bad_version_came(root):
    publish_colours(root)
    publish_colours(root, golden_shift=1.0)

    async with serving(root, versions="latest") as (client, _):
        assert await classified(client) == 1


async def test_swaps_under_load_lose_no_request(root):
    publish_colours(root)

    async with serving(root, versions="latest", **POLL) as (client, _):
        seen: list[int] = []
        done = asyncio.Event()

        async def caller() -> None:
            while not done.is_set():
                seen.append(await classified(client))

        callers = [asyncio.ensure_future(caller()) for _ in range(8)]
        for version in range(2, 8):
            publish_colours(root)
            await until(client, lambda found, want=str(version): states(found) == {want: "READY"})
            before = len(seen)
            while len(seen) < before + 20:
                await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*callers)
        assert set(seen) >= {2, 7}


async def test_a_visitor_of_the_old_version_is_answered_by_it_after_the_swap(root):
    publish_colours(root)

    async with serving(root, versions="latest", **POLL) as (client, engine):
        half, slow = await slow_visit(client, engine)
        publish_colours(root)
        await until(client, lambda found: states(found) == {"2": "READY"})
        half.set()
        assert (await slow).json()["version"] == 1


def session_of(engine: Engine) -> Session:
    """What runs the one version that serves: found in memory, for the door shows facts alone."""
    (facts,) = engine.describe().ready
    (loaded,) = [one for one in gc.get_objects() if type(one) is Loaded and one.facts is facts]
    return loaded.sessions[0]


async def test_a_version_that_is_retired_gives_its_memory_back_at_once(root):
    publish_colours(root)

    async with serving(root, versions="latest", **POLL) as (client, engine):
        gc.disable()  # no collection may be needed
        try:
            old = weakref.ref(session_of(engine))
            assert await classified(client) == 1
            publish_colours(root)
            await until(client, lambda found: states(found) == {"2": "READY"})
            while old() is not None:
                await asyncio.sleep(0)
            assert await classified(client) == 2
        finally:
            gc.enable()


async def test_only_the_listed_versions_serve(root):
    for _ in range(3):
        publish_colours(root)

    async with serving(root, versions="1,3,9") as (client, _):
        found = await index(client)
        assert states(found) == {"1": "READY", "3": "READY", "9": "UNAVAILABLE"}
        assert await classified(client) == 3


async def test_a_model_to_load_that_is_not_there_ends_the_start(root):
    publish_colours(root)
    engine = assemble(Settings(repository=root, load_models="colours,none", **EXPLICIT)).engine
    with pytest.raises(ModelNotFound, match="none"):
        await engine.start()


async def test_a_shutdown_answers_who_visits_a_version_that_is_being_retired(root):
    publish_colours(root)

    async with serving(root, versions="latest", **POLL) as (client, engine):
        half, slow = await slow_visit(client, engine)
        publish_colours(root)
        await until(client, lambda found: states(found) == {"2": "READY"})
        draining = asyncio.ensure_future(engine.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        half.set()
        assert top(await slow) == ["green"]
        await draining
