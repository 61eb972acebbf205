"""The service's app, asked in this process: no socket, no second process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from service.config import Settings
from service.engine import Engine
from service.http.app import build

Client = httpx.AsyncClient


@asynccontextmanager
async def serving(repository: Path, **settings: Any) -> AsyncIterator[tuple[Client, Engine]]:
    app, engine = build(Settings(repository=repository, **settings))
    async with (
        app.router.lifespan_context(app),
        Client(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://service") as client,
    ):
        yield client, engine


def told(repository: Path, story: Callable[[Client, Engine], Any], **settings: Any) -> Any:
    async def tell() -> Any:
        async with serving(repository, **settings) as (client, engine), asyncio.timeout(30):
            return await story(client, engine)

    return asyncio.run(tell())


def posted(
    repository: Path, url: str = "/v1/classify", settings: dict[str, Any] | None = None, **request: Any
) -> httpx.Response:
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.post(url, **request)

    return told(repository, story, **(settings or {}))


def got(repository: Path, url: str, **settings: Any) -> httpx.Response:
    async def story(client: Client, _: Engine) -> httpx.Response:
        return await client.get(url)

    return told(repository, story, **settings)


def refused(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    assert response.json()["error"]["code"] == code
    return str(response.json()["error"]["message"])


def top(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [prediction["classes"][0]["label"] for prediction in response.json()["predictions"]]
