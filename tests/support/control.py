"""Asks a service in this process for its models while the repository changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from service.engine import Engine
from tests.support.app import Client, top
from tests.support.images import plain

POLL = {"model_control": "poll", "poll_seconds": 0.01}
EXPLICIT = {"model_control": "explicit"}


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
        # Others need this machine to get there.
        await asyncio.sleep(0.005)


def states(found: dict[tuple[str, str], tuple[str, str]]) -> dict[str, str]:
    return {version: state for (_, version), (state, _) in found.items()}


async def control(client: Client, verb: str, model: str = "colours", **body: Any) -> httpx.Response:
    return await client.post(f"/v2/repository/models/{model}/{verb}", content=json.dumps(body) if body else b"")


def ok(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text


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
