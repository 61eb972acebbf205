"""The app over any engine: the same answers, the same shutdown, also where another app mounts it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from service.config import make
from tests.support.engines import Make, app_of, asking, local, toy
from tests.support.images import plain


@pytest.fixture
def root(publish: Callable[..., Path], tmp_path: Path) -> Path:
    """A sound version, and one that is broken."""
    publish()
    publish(golden_shift=1.0)
    return tmp_path / "models"


@pytest.fixture(params=[local, toy])
def new(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


IMAGE = np.full((1, 8, 8, 3), (0, 200, 10), np.uint8)
TENSOR = {"name": "images", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": IMAGE.ravel().tolist()}
ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/classify", {"content": plain("red")}),
    ("POST", "/v1/models/colours/classify?top_k=1", {"content": plain("blue")}),
    ("POST", "/v1/models/colours/versions/1/classify", {"files": [("image", plain("red")), ("image", plain("green"))]}),
    ("POST", "/v1/classify?top_k=none", {"content": plain("red")}),
    ("POST", "/v1/classify", {"content": b"no image at all"}),
    ("POST", "/v1/models/none/classify", {"content": plain("red")}),
    ("POST", "/v1/models/colours/versions/2/classify", {"content": plain("red")}),
    ("POST", "/v1/models/colours/versions/x/classify", {"content": plain("red")}),
    ("POST", "/v2/models/colours/infer", {"json": {"id": "7", "inputs": [TENSOR]}}),
    ("POST", "/v2/models/colours/infer", {"json": {"inputs": [{**TENSOR, "shape": [2, 8, 8, 3]}]}}),
    ("POST", "/v2/models/none/infer", {"json": {"inputs": [TENSOR]}}),
    ("POST", "/v2/models/colours/versions/x/infer", {"json": {"inputs": [TENSOR]}}),
    ("GET", "/v2/models/colours", {}),
    ("GET", "/v2/models/colours/ready", {}),
    ("GET", "/v2/models/colours/versions/2/ready", {}),
    ("GET", "/v2/models/none", {}),
    ("GET", "/v2/health/ready", {}),
    ("GET", "/v2/health/live", {}),
    ("GET", "/readyz", {}),
    ("GET", "/livez", {}),
    ("GET", "/v1/models/none", {}),
    ("GET", "/v1/models/colours/versions/1/card", {}),
]


async def test_the_app_answers_alike_whatever_engine_stands_behind_it(root: Path) -> None:
    local_app, toy_app = app_of(local(root), root), app_of(toy(root), root)
    async with asking(local_app) as first, asking(toy_app) as second:
        for method, url, request in ASKED:
            answers = [await client.request(method, url, **request) for client in (first, second)]
            ours, theirs = map(told, answers)
            assert ours == theirs, (method, url)
            assert [sorted(timing(answer)) for answer in answers] == 2 * [sorted(timing(answers[0]))], url


async def test_every_route_of_the_app_can_be_asked(new: Make, root: Path) -> None:
    async with asking(app_of(new(root), root)) as client:
        await client.post("/v1/classify", content=plain("red"))
        models = (await client.get("/v1/models/colours")).json()
        assert [version["state"] for version in models["versions"]] == ["ready", "broken"]
        config = (await client.get("/v2/models/colours/config")).json()
        assert config["instance_group"][0] | {"name": ""} == {"name": "", "kind": "KIND_CPU", "count": 1, "gpus": []}
        (stats,) = (await client.get("/v2/models/stats")).json()["model_stats"]
        assert (stats["inference_count"], stats["inference_stats"]["success"]["count"]) == (1, 1)
        index = (await client.post("/v2/repository/index")).json()
        assert [(one["version"], one["state"]) for one in index] == [("1", "READY"), ("2", "UNAVAILABLE")]
        assert [one["version"] for one in (await client.post("/v2/repository/index", json={"ready": True})).json()] == [
            "1"
        ]
        (activity,) = (await client.get("/v1/activity")).json()["versions"]
        assert (activity["images"], activity["calls"]) == (1, 1)
        assert (await client.post("/v2/repository/models/colours/load")).status_code == 400
        assert 'harmonic_requests_total{model="colours",status="200"' in (await client.get("/metrics")).text


async def test_the_app_drains_whatever_engine_stands_behind_it(new: Make, root: Path) -> None:
    engine = new(root)
    async with asking(app_of(engine, root)) as client:
        engine.leave()
        assert (await client.get("/readyz")).status_code == 503
        answer = await client.post("/v1/classify", content=plain("red"))
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        engine.close_door()
        assert (await client.post("/v1/classify", content=plain("red"))).json()["error"]["code"] == "draining"
        assert (await client.get("/v2/models/colours")).status_code == 503


async def test_the_app_serves_under_a_prefix_of_another_app(new: Make, root: Path) -> None:
    secret, key = make("page", ["inference"])
    engine = new(root)
    inner = app_of(engine, root, keys=(key,))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = Starlette(routes=[Mount("/vision", inner)], lifespan=lifespan)
    bearer = {"Authorization": f"Bearer {secret}"}
    async with asking(outer, "http://service/vision") as client:
        assert engine.ready()
        assert (await client.get("/readyz")).status_code == 200  # wants no key
        assert (await client.post("/v1/classify", content=plain("red"))).status_code == 401
        answer = await client.post("/v1/classify", content=plain("red"), headers=bearer)
        assert answer.json()["predictions"][0]["classes"][0]["label"] == "red"
        assert answer.headers["x-request-id"]
        loading = await client.post("/v2/repository/models/colours/load", headers=bearer)
        assert loading.status_code == 403  # the key is not one for control, here as there
        assert isinstance(loading.json()["error"], str)  # the protocol's own form of errors
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/vision"}]
    assert engine.leaving


def told(answer: httpx.Response) -> dict[str, Any]:
    """Status and body, without what is the engine's own: times, and the words of its refusals."""
    body = json.loads(answer.content) if answer.content else {}
    body.pop("timing_ms", None)
    if answer.status_code >= 400:
        error = body.get("error", {})
        body = {"code": error["code"] if isinstance(error, dict) else ""} if error else body
    return {"status": answer.status_code, "body": rounded(body), "type": answer.headers["content-type"]}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


def timing(answer: httpx.Response) -> list[str]:
    """The phases that Server-Timing names."""
    return [part.partition(";")[0].strip() for part in answer.headers["server-timing"].split(",")]
