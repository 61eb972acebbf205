"""Loading and unloading on request."""

import asyncio
import shutil

import httpx
import pytest

from service.engine import Engine
from tests.support import tensors
from tests.support.app import Client, refused, told, top
from tests.support.colours import publish_colours
from tests.support.control import EXPLICIT, classified, control, index, ok, slow_visit, states
from tests.support.images import plain


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


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b'{"ready": false, "more": 1}'])
def test_the_index_gives_reasons(publish, tmp_path, body):
    publish()
    publish(golden_shift=1.0)

    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post("/v2/repository/index", content=body)

    index = told(tmp_path / "models", story).json()
    assert [(entry["version"], entry["state"]) for entry in index][:1] == [("1", "READY")]
    if b"true" in body:
        assert len(index) == 1
    else:
        assert index[1]["state"] == "UNAVAILABLE"
        assert "golden" in index[1]["reason"]


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"ready": 1}', b"x" * 70_000])
def test_a_wrong_index_request_is_refused(repository, body):
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post("/v2/repository/index", content=body)

    tensors.refused(told(repository, story), 413 if len(body) > 65536 else 400)
