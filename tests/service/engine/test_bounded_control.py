"""More models than memory: what is asked for is loaded, what was asked least recently is let go, nobody loses."""

import asyncio
import shutil

import httpx
import pytest

from tests.support.app import refused, serving, top
from tests.support.colours import publish_colours
from tests.support.control import EXPLICIT, POLL, classified, control, index, ok, slow_visit, until
from tests.support.held_backend import holding, publish_held
from tests.support.images import plain

ON_DEMAND = "unloaded (on demand)"


async def in_memory(client: httpx.AsyncClient) -> set[tuple[str, int]]:
    listed = (await client.get("/v1/models")).json()["models"]
    return {
        (model["name"], version["version"])
        for model in listed
        for version in model["versions"]
        if version["state"] == "ready"
    }


async def counted(client: httpx.AsyncClient, change: str, model: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    head = f'harmonic_model_changes_total{{change="{change}",model="{model}"}} '
    return next((float(line.removeprefix(head)) for line in lines if line.startswith(head)), 0.0)


async def test_versions_are_loaded_when_asked_for_and_the_least_recently_used_is_let_go(root):
    for name in ("a", "b", "c"):
        publish_colours(root, name)

    async with serving(root, max_models=2) as (client, _):
        assert (await client.get("/readyz")).status_code == 200
        assert await in_memory(client) == set()
        assert [await classified(client, name) for name in ("a", "b", "a", "c")] == [1, 1, 1, 1]
        assert await in_memory(client) == {("a", 1), ("c", 1)}
        assert (await client.get("/readyz")).status_code == 200
        found = (await client.get("/v1/models/b")).json()["versions"][0]
        assert (found["state"], found["labels"]) == (ON_DEMAND, ["red", "green", "blue"])
        state, reason = (await index(client))["b", "1"]
        assert (state, ON_DEMAND in reason) == ("UNAVAILABLE", True)
        assert [await counted(client, change, "b") for change in ("loaded", "evicted", "retired")] == [1, 1, 0]
        lines = (await client.get("/metrics")).text.splitlines()
        assert 'harmonic_model_on_demand{model="b",version="1"} 1.0' in lines
        assert 'harmonic_requests_total{model="b",status="200",version="1"} 1.0' in lines  # counts outlive memory
        assert any(line.startswith('harmonic_model_memory_bytes{model="a"') for line in lines)
        assert await classified(client, "b") == 1


async def test_the_default_model_is_there_from_the_start_and_the_protocols_metadata_loads_what_it_tells_of(root):
    for name in ("a", "b"):
        publish_colours(root, name)

    async with serving(root, max_models=1, default_model="a") as (client, _):
        assert await in_memory(client) == {("a", 1)}
        assert (await client.get("/v2/models/b/ready")).json() == {"name": "b", "ready": True}
        assert await in_memory(client) == {("a", 1)}
        told = (await client.get("/v2/models/b")).json()
        assert (told["name"], told["versions"]) == ("b", ["1"])
        assert await in_memory(client) == {("b", 1)}
        assert (await client.get("/readyz")).status_code == 200
        assert top(await client.post("/v1/classify", content=plain("blue"))) == ["blue"]


async def test_without_a_version_the_newest_sound_one_answers_and_a_broken_one_is_found_out_once(root):
    publish_colours(root)
    publish_colours(root, golden_shift=1.0)

    async with serving(root, max_models=1) as (client, _):
        assert await classified(client) == 1
        states = {one["version"]: one for one in (await client.get("/v1/models/colours")).json()["versions"]}
        assert "golden" in states[2]["reason"]
        refused(await client.post("/v1/models/colours/versions/2/classify", content=plain()), 503, "not_ready")
        assert await counted(client, "refused", "colours") == 1


async def test_callers_share_a_load_and_a_load_that_fails_tells_all_of_them(root):
    publish_held(root, "slow")
    publish_colours(root, "other")
    bad = publish_colours(root, "bad", golden_shift=1.0)

    with holding("slow") as gates:
        async with serving(root, max_models=1) as (client, _):
            asked = [asyncio.ensure_future(client.post("/v1/models/slow/classify", content=plain())) for _ in range(6)]
            late = await client.post("/v1/models/slow/classify", params={"timeout_ms": 5}, content=plain())
            refused(late, 504, "deadline_exceeded")
            gates["slow"].set()
            assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200] * 6
            assert await counted(client, "loaded", "slow") == 1
            told = await asyncio.gather(*(client.post("/v1/models/bad/classify", content=plain()) for _ in range(6)))
            assert {answer.status_code for answer in told} == {503}
            assert await counted(client, "refused", "bad") == 1
    assert bad.exists()


async def test_names_that_do_not_exist_load_nothing(root):
    publish_colours(root, "a")

    async with serving(root, max_models=1) as (client, _):
        before = await in_memory(client)
        answers = await asyncio.gather(*(client.post(f"/v1/models/no{n}/classify", content=plain()) for n in range(50)))
        assert {answer.status_code for answer in answers} == {404}
        refused(await client.post("/v1/models/a/versions/7/classify", content=plain()), 404, "model_not_found")
        assert await in_memory(client) == before


async def test_a_version_with_a_request_inside_is_let_go_only_when_that_is_answered(root):
    for name in ("a", "b"):
        publish_colours(root, name)

    async with serving(root, max_models=1, default_model="a") as (client, engine):
        half, slow = await slow_visit(client, engine)
        other = asyncio.ensure_future(client.post("/v1/models/b/classify", content=plain("red")))
        await until(client, lambda found: found["a", "1"][0] == "UNAVAILABLE")
        assert not other.done()
        half.set()
        assert top(await slow) == ["green"]
        assert top(await other) == ["red"]


async def test_what_was_loaded_by_request_stays_and_what_was_unloaded_is_gone(root):
    for name in ("a", "b", "c"):
        publish_colours(root, name)

    async with serving(root, max_models=2, load_models="a", **EXPLICIT) as (client, _):
        assert await in_memory(client) == {("a", 1)}
        for name in ("b", "c", "b"):
            assert await classified(client, name) == 1
        assert await in_memory(client) == {("a", 1), ("b", 1)}
        ok(await control(client, "load", "c"))
        assert await in_memory(client) == {("a", 1), ("c", 1)}
        told = await client.post("/v1/models/b/classify", content=plain())
        assert "unload one" in refused(told, 503, "not_ready")
        assert (await control(client, "load", "b")).status_code == 400
        ok(await control(client, "unload", "a"))
        refused(await client.post("/v1/models/a/classify", content=plain()), 404, "model_not_found")
        assert (await index(client))["a", ""] == ("UNAVAILABLE", "not loaded")
        assert await classified(client, "b") == 1
        ok(await control(client, "unload", "c"))
        ok(await control(client, "load", "a"))
        assert await in_memory(client) == {("a", 1), ("b", 1)}


async def test_an_unload_while_a_request_waits_for_the_load_answers_it_or_says_that_it_is_gone(root):
    publish_held(root, "slow")
    publish_colours(root, "b")

    with holding("slow") as gates:
        async with serving(root, max_models=1, **EXPLICIT) as (client, _):
            asked = asyncio.ensure_future(client.post("/v1/models/slow/classify", content=plain()))
            while not asked.done() and (await client.get("/livez")).status_code != 200:
                await asyncio.sleep(0)
            unloading = asyncio.ensure_future(control(client, "unload", "slow"))
            await asyncio.sleep(0)
            gates["slow"].set()
            assert (await asked).status_code in {200, 404}
            ok(await unloading)
            refused(await client.post("/v1/models/slow/classify", content=plain()), 404, "model_not_found")
            assert await classified(client, "b") == 1


async def test_a_repository_that_is_away_costs_the_request_and_not_the_model(root):
    publish_colours(root, "a")
    publish_colours(root, "b")

    async with serving(root, max_models=1) as (client, _):
        root.rename(root.parent / "away")
        refused(await client.post("/v1/models/a/classify", content=plain()), 503, "not_ready")
        (root.parent / "away").rename(root)
        assert await classified(client, "a") == 1


async def test_polling_follows_new_models_and_a_new_version_of_one_in_use_is_there_before_it_is_asked(root):
    publish_colours(root, "a")

    async with serving(root, max_models=2, **POLL) as (client, _):
        assert await classified(client, "a") == 1
        publish_colours(root, "b")
        await until(client, lambda found: ("b", "1") in found)
        publish_colours(root, "a")
        await until(client, lambda found: found.get(("a", "2")) == ("READY", ""))
        assert await classified(client, "a") == 2
        assert await classified(client, "b") == 1
        assert len(await in_memory(client)) == 2
        shutil.rmtree(root / "b")
        await until(client, lambda found: ("b", "1") not in found)
        refused(await client.post("/v1/models/b/classify", content=plain()), 404, "model_not_found")


async def test_a_bound_of_memory_counts_what_each_took_and_refuses_what_never_fits(root):
    for name in ("a", "b"):
        publish_colours(root, name)

    async with serving(root, max_memory="1GB") as (client, _):
        assert [await classified(client, name) for name in ("a", "b")] == [1, 1]
        assert await in_memory(client) == {("a", 1), ("b", 1)}
    async with serving(root, max_memory="10", default_model="a") as (client, _):
        told = (await client.get("/v1/models/a")).json()["versions"][0]
        assert (told["state"], "max_memory" in told["reason"]) == ("broken", True)
        refused(await client.post("/v1/models/b/classify", content=plain()), 503, "not_ready")
        assert (await client.get("/readyz")).status_code == 503


@pytest.mark.timeout(60)
async def test_in_a_storm_of_twenty_models_for_three_places_every_caller_gets_its_right_answer(root):
    names = [f"m{number}" for number in range(20)]
    first = publish_colours(root, names[0]).parent
    for name in names[1:]:
        shutil.copytree(first, root / name)
        manifest = root / name / "1" / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"m0"', f'"{name}"'))

    async def caller(client: httpx.AsyncClient, number: int) -> None:
        for step in range(3):
            name = names[(7 * number + 3 * step) % len(names)]
            colour = ("red", "green", "blue")[(number + step) % 3]
            answer = await client.post(f"/v1/models/{name}/classify", content=plain(colour))
            assert top(answer) == [colour]
            assert answer.json()["model"] == name

    async with serving(root, max_models=3, threads=1, instances=1) as (client, engine):
        await asyncio.gather(*(caller(client, number) for number in range(32)))
        assert len(await in_memory(client)) == 3
        assert engine.in_flight == 0
