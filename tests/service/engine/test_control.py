"""Model control over HTTP: what serves while the repository changes under it."""

import asyncio
import gc
import json
import shutil
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.config import Settings
from service.engine.loading import Loaded
from service.errors import ModelNotFound
from service.http.app import build
from service.runtime import Session
from tests.service.conftest import publish_colours
from tests.service.http.test_http import Client, Engine, refused, told, top
from tests.support.images import plain

POLL = {"model_control": "poll", "poll_seconds": 0.01}
EXPLICIT = {"model_control": "explicit"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


async def classified(client: Client, model: str = "colours") -> int:
    response = await client.post(f"/v1/models/{model}/classify", content=plain("green"))
    assert top(response) == ["green"]
    return int(response.json()["version"])


async def index(client: Client) -> dict[tuple[str, str], tuple[str, str]]:
    listed = (await client.post("/v2/repository/index")).json()
    return {(entry["name"], entry["version"]): (entry["state"], entry["reason"]) for entry in listed}


async def until(client: Client, holds: Callable[[dict[tuple[str, str], tuple[str, str]]], bool]) -> None:
    """Return when the index is as it should be; the test's time limit ends the wait."""
    while not holds(await index(client)):
        await asyncio.sleep(0)


def states(found: dict[tuple[str, str], tuple[str, str]]) -> dict[str, str]:
    return {version: state for (_, version), (state, _) in found.items()}


async def control(client: Client, verb: str, model: str = "colours", **body: Any) -> httpx.Response:
    return await client.post(f"/v2/repository/models/{model}/{verb}", content=json.dumps(body) if body else b"")


def ok(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text


def test_without_control_changes_are_not_noticed_and_nothing_is_taken_away(root):
    folder = publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        publish_colours(root)
        shutil.rmtree(folder)
        assert await classified(client) == 1
        for verb in ("load", "unload"):
            assert "'none'" in (await control(client, verb)).json()["error"]
        assert await classified(client) == 1

    told(root, story)


def test_polling_moves_to_a_new_version_and_lets_go_of_the_old(root):
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        assert await classified(client) == 1
        publish_colours(root)
        await until(client, lambda found: states(found) == {"2": "READY"})
        assert await classified(client) == 2
        response = await client.post("/v1/models/colours/versions/1/classify", content=plain())
        assert response.status_code == 404
        lines = (await client.get("/metrics")).text.splitlines()
        assert 'harmonic_model_changes_total{change="loaded",model="colours"} 2.0' in lines
        assert 'harmonic_model_changes_total{change="retired",model="colours"} 1.0' in lines

    told(root, story, versions="latest", **POLL)


def test_a_bad_new_version_leaves_the_old_one_serving_and_says_why(root):
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        publish_colours(root, golden_shift=1.0)
        await until(client, lambda found: states(found) == {"1": "READY", "2": "UNAVAILABLE"})
        assert "golden" in (await index(client))["colours", "2"][1]
        assert await classified(client) == 1
        publish_colours(root)
        await until(client, lambda found: states(found) == {"3": "READY"})
        assert await classified(client) == 3

    told(root, story, versions="latest", **POLL)


def test_a_restart_serves_what_served_before_a_bad_version_came(root):
    publish_colours(root)
    publish_colours(root, golden_shift=1.0)

    async def story(client: Client, _: Engine) -> None:
        assert await classified(client) == 1

    told(root, story, versions="latest")


def test_models_come_and_go(root):
    publish_colours(root, "one")

    async def story(client: Client, _: Engine) -> None:
        publish_colours(root, "two")
        await until(client, lambda found: ("two", "1") in found)
        assert await classified(client, "two") == 1
        shutil.rmtree(root / "one")
        await until(client, lambda found: ("one", "1") not in found)
        gone = await client.post("/v1/models/one/classify", content=plain())
        refused(gone, 404, "model_not_found")
        assert await classified(client, "two") == 1

    told(root, story, **POLL)


def test_a_version_that_is_still_being_copied_is_not_touched(root):
    publish_colours(root)
    whole = publish_colours(root)
    shutil.move(whole, root.parent / "whole")

    async def story(client: Client, _: Engine) -> None:
        half = root / "colours" / "2"
        half.mkdir()
        shutil.copy(root.parent / "whole" / "model.onnx", half)
        publish_colours(root, "marker")
        await until(client, lambda found: ("marker", "1") in found)  # a look later, the half is not noticed
        assert ("colours", "2") not in await index(client)
        shutil.copy(root.parent / "whole" / "golden.npz", half)
        shutil.copy(root.parent / "whole" / "manifest.json", half)
        await until(client, lambda found: found.get(("colours", "2")) == ("READY", ""))
        assert await classified(client) == 2

    told(root, story, **POLL)


def test_a_folder_that_changes_for_the_worse_while_it_serves_is_told_and_serves_on(root):
    folder = publish_colours(root)
    sound = (folder / "model.onnx").read_bytes()

    async def story(client: Client, _: Engine) -> None:
        (folder / "model.onnx").write_bytes(sound + b"x")
        await until(client, lambda found: "SHA-256" in found["colours", "1"][1])
        assert states(await index(client)) == {"1": "READY"}
        assert "SHA-256" in (await client.get("/v1/models")).json()["models"][0]["versions"][0]["remark"]
        assert await classified(client) == 1
        (folder / "model.onnx").write_bytes(sound)
        await until(client, lambda found: found == {("colours", "1"): ("READY", "")})
        assert await classified(client) == 1

    told(root, story, **POLL)


def test_the_last_sound_version_serves_on_if_its_folder_goes_and_only_a_bad_one_is_left(root):
    folder = publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        publish_colours(root, golden_shift=1.0)
        shutil.rmtree(folder)
        await until(client, lambda found: "gone" in found.get(("colours", "1"), ("", ""))[1])
        assert await classified(client) == 1

    told(root, story, **POLL)


def test_a_repository_that_goes_away_takes_nothing_with_it(root):
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        root.rename(root.parent / "away")
        publish_colours(root.parent / "away")
        assert await classified(client) == 1
        (root.parent / "away").rename(root)
        await until(client, lambda found: states(found) == {"1": "READY", "2": "READY"})
        assert await classified(client) == 2

    told(root, story, **POLL)


def test_a_models_own_file_is_followed_and_a_wrong_one_changes_nothing(root):
    publish_colours(root)
    (root / "colours" / "config.toml").write_text("max_size = 3\ninstances = 2\npriority_levels = 2")

    async def described(client: Client) -> dict[str, Any]:
        found: dict[str, Any] = (await client.get("/v1/models")).json()["models"][0]["versions"][0]
        return found

    async def story(client: Client, _: Engine) -> None:
        version = await described(client)
        assert (version["instances"], version["policy"]["max_size"]) == (2, 3)
        (root / "colours" / "config.toml").write_text("max_size = 'many'")
        await until(client, lambda found: "config.toml" in found["colours", "1"][1])
        assert (await described(client))["policy"]["max_size"] == 3
        assert await classified(client) == 1
        (root.parent / "right.toml").write_text("max_size = 5")
        (root.parent / "right.toml").rename(root / "colours" / "config.toml")  # a look must not find it half written
        await until(client, lambda found: found["colours", "1"] == ("READY", ""))
        assert (await described(client))["policy"]["max_size"] == 5

    told(root, story, **POLL)


def test_swaps_under_load_lose_no_request(root):
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
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

    told(root, story, versions="latest", **POLL)


async def slow_visit(client: Client, engine: Engine) -> tuple[asyncio.Event, "asyncio.Future[Any]"]:
    """A request that was let in and whose body stays half sent until the event is set; and its answer."""
    half = asyncio.Event()

    async def upload() -> AsyncIterator[bytes]:
        yield plain("green")[:20]
        await half.wait()
        yield plain("green")[20:]

    slow = asyncio.ensure_future(client.post("/v1/classify", content=upload()))
    while not engine.in_flight:
        await asyncio.sleep(0)
    return half, slow


def test_a_visitor_of_the_old_version_is_answered_by_it_after_the_swap(root):
    publish_colours(root)

    async def story(client: Client, engine: Engine) -> None:
        half, slow = await slow_visit(client, engine)
        publish_colours(root)
        await until(client, lambda found: states(found) == {"2": "READY"})
        half.set()
        assert (await slow).json()["version"] == 1

    told(root, story, versions="latest", **POLL)


def session_of(engine: Engine) -> Session:
    """What runs the one version that serves: found in memory, for the door shows facts alone."""
    (facts,) = engine.describe().ready
    (loaded,) = [one for one in gc.get_objects() if type(one) is Loaded and one.facts is facts]
    return loaded.sessions[0]


def test_a_version_that_is_retired_gives_its_memory_back_at_once(root):
    publish_colours(root)

    async def story(client: Client, engine: Engine) -> None:
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

    told(root, story, versions="latest", **POLL)


def test_explicit_control_loads_and_unloads_on_request(root):
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        assert (await client.get("/readyz")).status_code == 503
        assert await index(client) == {("colours", ""): ("UNAVAILABLE", "not loaded")}
        ok(await control(client, "load"))
        assert await classified(client) == 1
        publish_colours(root)
        assert await classified(client) == 1
        ok(await control(client, "load"))
        assert await classified(client) == 2
        ok(await control(client, "unload", parameters={"unload_dependents": False}))
        refused(await client.post("/v1/models/colours/classify", content=plain()), 404, "model_not_found")
        assert (await control(client, "unload")).status_code == 404
        ok(await control(client, "load"))
        assert await classified(client) == 2

    told(root, story, **EXPLICIT)


def test_unloading_answers_who_is_inside_first(root):
    publish_colours(root)

    async def story(client: Client, engine: Engine) -> None:
        half, slow = await slow_visit(client, engine)
        unloading = asyncio.ensure_future(control(client, "unload"))
        while (await client.post("/v1/models/colours/classify", content=plain())).status_code != 404:
            pass
        assert not unloading.done()
        half.set()
        assert top(await slow) == ["green"]
        ok(await unloading)

    told(root, story, load_models="colours", **EXPLICIT)


def test_loading_what_is_not_sound_is_refused_with_the_reason_and_the_old_serves(root):
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        bad = publish_colours(root, golden_shift=1.0)
        response = await control(client, "load")
        assert response.status_code == 400
        assert "golden" in response.json()["error"]
        assert await classified(client) == 1
        shutil.rmtree(bad)
        ok(await control(client, "load"))

    told(root, story, load_models="*", **EXPLICIT)


def test_an_old_version_that_is_not_sound_does_not_stand_in_the_way(root):
    publish_colours(root, golden_shift=1.0)
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        ok(await control(client, "load"))
        assert states(await index(client)) == {"1": "UNAVAILABLE", "2": "READY"}

    told(root, story, **EXPLICIT)


def test_a_half_copied_version_that_was_tried_is_tried_again_when_it_is_whole(root):
    publish_colours(root)
    whole = publish_colours(root)
    graph = (whole / "model.onnx").read_bytes()
    (whole / "model.onnx").write_bytes(graph[:100])

    async def story(client: Client, _: Engine) -> None:
        await until(client, lambda found: states(found) == {"1": "READY", "2": "UNAVAILABLE"})
        assert await classified(client) == 1
        (whole / "model.onnx").write_bytes(graph)
        await until(client, lambda found: states(found) == {"1": "READY", "2": "READY"})
        assert await classified(client) == 2

    told(root, story, **POLL)


@pytest.mark.parametrize(
    "model",
    ["none", "..", "..%2fsecret", "%2Fetc", "colours%2f1", "colours%00", "http:%2f%2fx", ".hidden", "colours%0a"],
)
def test_nothing_outside_of_the_repository_can_be_named(root, model):
    publish_colours(root)
    publish_colours(root.parent, "secret")

    async def story(client: Client, _: Engine) -> None:
        assert (await control(client, "load", model)).status_code == 404
        assert set(await index(client)) == {("colours", "")}

    told(root, story, **EXPLICIT)


@pytest.mark.parametrize("parameters", [{"config": "{}"}, {"file:1/model.onnx": "AAAA"}, {"file:../x": ""}])
def test_a_request_cannot_bring_a_model_or_a_configuration(root, parameters):
    publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        response = await control(client, "load", parameters=parameters)
        assert response.status_code == 400
        assert "repository" in response.json()["error"]
        assert (await client.get("/readyz")).status_code == 503

    told(root, story, **EXPLICIT)


def test_only_the_listed_versions_serve(root):
    for _ in range(3):
        publish_colours(root)

    async def story(client: Client, _: Engine) -> None:
        found = await index(client)
        assert states(found) == {"1": "READY", "3": "READY", "9": "UNAVAILABLE"}
        assert await classified(client) == 3

    told(root, story, versions="1,3,9")


def test_a_model_to_load_that_is_not_there_ends_the_start(root):
    publish_colours(root)
    _, engine = build(Settings(repository=root, load_models="colours,none", **EXPLICIT))
    with pytest.raises(ModelNotFound, match="none"):
        asyncio.run(engine.start())


def test_a_shutdown_answers_who_visits_a_version_that_is_being_retired(root):
    publish_colours(root)

    async def story(client: Client, engine: Engine) -> None:
        half, slow = await slow_visit(client, engine)
        publish_colours(root)
        await until(client, lambda found: states(found) == {"2": "READY"})
        draining = asyncio.ensure_future(engine.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        half.set()
        assert top(await slow) == ["green"]
        await draining

    told(root, story, versions="latest", **POLL)
