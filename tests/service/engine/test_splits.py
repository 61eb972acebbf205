"""A share of a model's requests goes to a canary, which is taken out by itself when it does worse."""

import asyncio
import logging
import shutil
from collections import Counter
from typing import Any

import httpx
import pytest

from service.errors import StartError
from tests.support.app import refused, serving, top
from tests.support.colours import publish_colours
from tests.support.control import EXPLICIT, control, ok
from tests.support.faults import raises_on_red
from tests.support.images import plain

HALF = {"split": "colours={1:0.5,2:0.5}"}
SPLIT = "/v1/control/models/colours/split"


@pytest.fixture
def two(root):
    folder = publish_colours(root)
    publish_colours(root)
    return folder.parent


async def asked(client: httpx.AsyncClient, number: int = 40, colour: str = "green") -> list[httpx.Response]:
    """So many requests with an id each, the same ids every time."""

    def one(each: int) -> Any:
        headers = {"X-Request-Id": f"r{each}"}
        return client.post("/v1/models/colours/classify", content=plain(colour), headers=headers)

    return await asyncio.gather(*map(one, range(number)))


async def told(client: httpx.AsyncClient) -> dict[int, dict[str, Any]]:
    return {one["version"]: one for one in (await client.get("/v1/models/colours")).json().get("split") or []}


async def test_a_retry_lands_where_the_request_did_and_who_names_a_version_gets_it(root, two):
    async with serving(root, **HALF) as (client, _):
        first = [answer.json()["version"] for answer in await asked(client)]
        assert set(Counter(first)) == {1, 2}
        assert [answer.json()["version"] for answer in await asked(client)] == first
        named = await client.post("/v1/models/colours/versions/1/classify", content=plain("red"))
        assert (top(named), named.json()["version"]) == (["red"], 1)
        without_id = [(await client.post("/v1/classify", content=plain())).json()["version"] for _ in range(30)]
        assert set(without_id) == {1, 2}
        lines = (await client.get("/metrics")).text.splitlines()
        assert 'harmonic_split_share{model="colours",version="2"} 0.5' in lines
        counted = Counter([*first, *first, 1, *without_id])
        for version, number in counted.items():
            assert f'harmonic_requests_total{{model="colours",status="200",version="{version}"}} {number}.0' in lines


async def test_a_split_is_set_and_ended_by_request_and_refused_where_it_makes_no_sense(root, two):
    async with serving(root, load_models="*", **EXPLICIT) as (client, _):
        ok(await client.post(SPLIT, json={"shares": {"1": 1}}))
        assert {answer.json()["version"] for answer in await asked(client, 5)} == {1}
        assert await told(client) == {1: {"version": 1, "share": 1.0, "in_force": 1.0}}
        for shares, words in (
            ({"1": 0.5, "2": 0.6}, "come to"),
            ({"1": 0.5, "7": 0.5}, "version 7"),
            ({"1": 2}, "above 0"),
        ):
            answer = await client.post(SPLIT, json={"shares": shares})
            assert answer.status_code == 400
            assert words in answer.json()["error"]["message"]
        none = await client.post("/v1/control/models/none/split", json={"shares": {"1": 1}})
        refused(none, 404, "model_not_found")
        assert (await client.post(SPLIT, json={"1": 1})).status_code in {400, 422}
        ok(await client.delete(SPLIT))
        assert {answer.json()["version"] for answer in await asked(client, 5)} == {2}
        assert await told(client) == {}
    async with serving(root) as (client, _):
        refused(await client.post(SPLIT, json={"shares": {"1": 1}}), 400, "control_refused")


async def test_a_split_of_what_is_not_there_stops_the_start(root, two):
    with pytest.raises(StartError, match="version 3"):
        async with serving(root, split="colours={1:0.5,3:0.5}"):
            pass
    with pytest.raises(StartError, match="version 1 of 'none'"):
        async with serving(root, split="none={1:1}"):
            pass


async def test_a_split_outlives_a_reload_and_leaves_the_share_of_what_is_gone_to_the_incumbent(root, two):
    async with serving(root, load_models="*", split="colours={1:0.6,2:0.4}", **EXPLICIT) as (client, _):
        shutil.rmtree(two / "2")
        ok(await control(client, "load"))
        assert {answer.json()["version"] for answer in await asked(client, 20)} == {1}
        assert (await told(client))[2]["in_force"] == 0
        publish_colours(root)
        ok(await control(client, "load"))
        assert {answer.json()["version"] for answer in await asked(client, 20)} == {1, 2}
        ok(await control(client, "unload"))
        refused((await asked(client, 1))[0], 404, "model_not_found")
        ok(await control(client, "load"))
        assert {answer.json()["version"] for answer in await asked(client, 20)} == {1, 2}


async def test_a_split_loads_its_versions_on_demand(root, two):
    async with serving(root, max_models=1, **HALF) as (client, _):
        assert {answer.json()["version"] for answer in await asked(client, 12)} == {1, 2}


async def test_a_canary_that_fails_is_taken_out_by_itself_and_everybody_is_told(root, caplog):
    caplog.set_level(logging.ERROR)
    publish_colours(root)
    publish_colours(root, graph=raises_on_red())

    async with serving(root, canary_requests=5, **HALF, load_models="*", **EXPLICIT) as (client, _):
        async with asyncio.timeout(30):
            while not (await told(client))[2].get("taken_out"):
                await asked(client, 30, "red")
        answers = await asked(client, 30, "red")
        assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(200, 1)}
        split = (await told(client))[2]
        assert (split["in_force"], "requests failed" in split["taken_out"]) == (0, True)
        lines = (await client.get("/metrics")).text.splitlines()
        assert 'harmonic_canary_taken_out{model="colours",version="2"} 1.0' in lines
        assert 'harmonic_split_share{model="colours",version="2"} 0.0' in lines
        assert "colours version 2 is taken out of the split" in caplog.text
        ok(await client.post(SPLIT, json={"shares": {"1": 0.5, "2": 0.5}}))  # once more, by the operator's word
        assert "taken_out" not in (await told(client))[2]
