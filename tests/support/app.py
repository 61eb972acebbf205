"""The service's app, asked in this process: no socket, no second process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from service.config import Settings
from service.engine import Engine
from service.http.app import assemble

Client = httpx.AsyncClient
PATIENCE_S = 120


@asynccontextmanager
async def serving(repository: Path, **settings: Any) -> AsyncIterator[tuple[Client, Engine]]:
    """Who asks it, and its engine, from its start to its end: all of it within PATIENCE_S."""
    service = assemble(Settings(repository=repository, **settings))
    async with (
        service.app.router.lifespan_context(service.app),
        asyncio.timeout(PATIENCE_S),
        Client(
            transport=httpx.ASGITransport(service.app, raise_app_exceptions=False), base_url="http://service"
        ) as client,
    ):
        yield client, service.engine


async def posted(
    repository: Path, url: str = "/v1/classify", settings: dict[str, Any] | None = None, **request: Any
) -> httpx.Response:
    async with serving(repository, **(settings or {})) as (client, _):
        return await client.post(url, **request)


async def got(repository: Path, url: str, **settings: Any) -> httpx.Response:
    async with serving(repository, **settings) as (client, _):
        return await client.get(url)


def refused(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    assert response.json()["error"]["code"] == code
    return str(response.json()["error"]["message"])


def top(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [prediction["classes"][0]["label"] for prediction in response.json()["predictions"]]
