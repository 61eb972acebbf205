"""Engines behind the door, and the app over them: what the tests of any engine use."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from export.manifest import read_manifest
from service.config import Settings
from service.engine import Engine, LocalEngine
from service.http.app import create_app
from service.telemetry import Metrics
from tests.support.toy_engine import ToyEngine

Make = Callable[[Path], Engine]


def local(root: Path) -> Engine:
    return LocalEngine(settings(root), Metrics(CollectorRegistry()))


def toy(root: Path) -> Engine:
    return ToyEngine(read_manifest(root / "colours" / "1"))


def settings(root: Path, **more: Any) -> Settings:
    return Settings(**{"repository": root, "device": "cpu", "instances": 1, **more})


@asynccontextmanager
async def started(new: Make, root: Path) -> AsyncIterator[Engine]:
    engine = new(root)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


@asynccontextmanager
async def asking(app: FastAPI | Starlette, base: str = "http://service") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=base) as client:
        yield client


def app_of(engine: Engine, root: Path, **more: Any) -> FastAPI:
    return create_app(settings(root, **more), engine, Metrics(CollectorRegistry()))
