"""A model whose load hangs holds nobody up, and serves once it is loaded."""

import asyncio
import logging

from tests.support.app import refused, serving
from tests.support.colours import publish_colours
from tests.support.control import EXPLICIT, POLL, classified, control, index, ok, states, until
from tests.support.held_backend import holding, publish_held
from tests.support.images import plain

BRIEFLY = {"load_seconds": 0.2}


async def test_other_models_are_loaded_while_one_hangs_in_its_warm_up(root):
    publish_held(root, "slow")
    publish_colours(root, "quick")

    with holding("slow") as gates:
        async with serving(root, **EXPLICIT, **BRIEFLY) as (client, _):
            told = await control(client, "load", "slow")
            assert (told.status_code, "not loaded within 0.2 s" in told.json()["error"]) == (400, True)
            while (await control(client, "load", "quick")).status_code != 200:  # a busy machine is slow, too
                await asyncio.sleep(0)
            assert await classified(client, "quick") == 1
            assert (await index(client))["slow", "1"][0] == "UNAVAILABLE"
            gates["slow"].set()
            await until(client, lambda found: found["slow", "1"][0] == "READY")
            assert await classified(client, "slow") == 1


async def test_a_model_that_was_unloaded_while_it_hung_stays_unloaded(root, caplog):
    caplog.set_level(logging.INFO)
    publish_held(root, "slow")
    publish_held(root, "next")

    with holding("slow", "next") as gates:
        async with serving(root, **EXPLICIT, **BRIEFLY) as (client, _):
            assert (await control(client, "load", "slow")).status_code == 400
            ok(await control(client, "unload", "slow"))
            gates["slow"].set()
            while "slow version 1 is ready" not in caplog.text:
                await asyncio.sleep(0.005)
            assert (await control(client, "load", "next")).status_code == 400
            gates["next"].set()
            await until(client, lambda found: found["next", "1"][0] == "READY")  # it was loaded later
            assert ("slow", "1") not in await index(client)
            refused(await client.post("/v1/models/slow/classify", content=plain()), 404, "model_not_found")


async def test_what_serves_goes_on_while_its_successor_hangs(root, tmp_path):
    publish_colours(root)
    publish_colours(tmp_path / "made")
    successor = publish_held(tmp_path / "made", "colours")

    with holding("colours") as gates:
        async with serving(root, **POLL, load_seconds=0.5) as (client, _):
            assert await classified(client) == 1
            successor.rename(root / "colours" / successor.name)
            await until(client, lambda found: states(found) == {"1": "READY", "2": "UNAVAILABLE"})
            assert await classified(client) == 1
            gates["colours"].set()
            await until(client, lambda found: states(found) == {"1": "READY", "2": "READY"})
            assert await classified(client) == 2
