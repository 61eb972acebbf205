"""Loading and unloading on request."""

import asyncio
import shutil

import pytest

from tests.support import tensors
from tests.support.app import posted, refused, serving, top
from tests.support.colours import publish_colours
from tests.support.control import EXPLICIT, classified, control, index, ok, slow_visit, states
from tests.support.images import plain


async def test_explicit_control_loads_and_unloads_on_request(root):
    publish_colours(root)

    async with serving(root, **EXPLICIT) as (client, _):
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


async def test_unloading_answers_who_is_inside_first(root):
    publish_colours(root)

    async with serving(root, load_models="colours", **EXPLICIT) as (client, engine):
        half, slow = await slow_visit(client, engine)
        unloading = asyncio.ensure_future(control(client, "unload"))
        while (await client.post("/v1/models/colours/classify", content=plain())).status_code != 404:
            pass
        assert not unloading.done()
        half.set()
        assert top(await slow) == ["green"]
        ok(await unloading)


async def test_loading_what_is_not_sound_is_refused_with_the_reason_and_the_old_serves(root):
    publish_colours(root)

    async with serving(root, load_models="*", **EXPLICIT) as (client, _):
        bad = publish_colours(root, golden_shift=1.0)
        response = await control(client, "load")
        assert response.status_code == 400
        assert "golden" in response.json()["error"]
        assert await classified(client) == 1
        shutil.rmtree(bad)
        ok(await control(client, "load"))


async def test_an_old_version_that_is_not_sound_does_not_stand_in_the_way(root):
    publish_colours(root, golden_shift=1.0)
    publish_colours(root)

    async with serving(root, **EXPLICIT) as (client, _):
        ok(await control(client, "load"))
        assert states(await index(client)) == {"1": "UNAVAILABLE", "2": "READY"}


@pytest.mark.parametrize(
    "model",
    ["none", "..", "..%2fsecret", "%2Fetc", "colours%2f1", "colours%00", "http:%2f%2fx", ".hidden", "colours%0a"],
)
async def test_nothing_outside_of_the_repository_can_be_named(root, model):
    publish_colours(root)
    publish_colours(root.parent, "secret")

    async with serving(root, **EXPLICIT) as (client, _):
        assert (await control(client, "load", model)).status_code == 404
        assert set(await index(client)) == {("colours", "")}


@pytest.mark.parametrize("parameters", [{"config": "{}"}, {"file:1/model.onnx": "AAAA"}, {"file:../x": ""}])
async def test_a_request_cannot_bring_a_model_or_a_configuration(root, parameters):
    publish_colours(root)

    async with serving(root, **EXPLICIT) as (client, _):
        response = await control(client, "load", parameters=parameters)
        assert response.status_code == 400
        assert "repository" in response.json()["error"]
        assert (await client.get("/readyz")).status_code == 503


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b'{"ready": false, "more": 1}'])
async def test_the_index_gives_reasons(publish, tmp_path, body):
    publish()
    publish(golden_shift=1.0)

    index = (await posted(tmp_path / "models", "/v2/repository/index", content=body)).json()
    assert [(entry["version"], entry["state"]) for entry in index][:1] == [("1", "READY")]
    if b"true" in body:
        assert len(index) == 1
    else:
        assert index[1]["state"] == "UNAVAILABLE"
        assert "golden" in index[1]["reason"]


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"ready": 1}', b"x" * 70_000])
async def test_a_wrong_index_request_is_refused(repository, body):
    tensors.refused(await posted(repository, "/v2/repository/index", content=body), 413 if len(body) > 65536 else 400)
