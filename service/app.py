"""The ASGI application: everything it uses is handed in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from harmonic import __version__
from service.bodies import Buffers
from service.engine import Engine
from service.metrics import Metrics
from service.observe import Observe
from service.routes import admin, classify, errors, inference, metadata, repository
from service.settings import Settings
from service.spans import Spans


def create_app(settings: Settings, engine: Engine, metrics: Metrics) -> FastAPI:
    """The service over an engine. The engine is started with the app, if it is not yet, and stopped with it."""

    spans = Spans.to(settings.otlp_endpoint) if settings.otlp_endpoint else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        yield
        await engine.stop()
        if spans:
            await asyncio.to_thread(spans.close)

    app = FastAPI(
        title="Harmonic",
        summary="Image classification with harmonic networks.",
        version=__version__,
        lifespan=lifespan,
        license_info={"name": "Apache-2.0"},
    )
    limits, buffers = settings.limits(), Buffers(settings.buffered_bytes)
    classify.install(app, engine, limits, buffers, metrics)
    inference.install(app, engine, limits, buffers, metrics)
    app.include_router(metadata.router(engine))
    app.include_router(repository.router(engine, limits, buffers))
    app.include_router(admin.router(engine, metrics))
    errors.install(app)
    app.add_middleware(Observe, spans=spans, access_log=settings.access_log)  # the last one added is the outermost
    return app


def build(settings: Settings) -> tuple[FastAPI, Engine]:
    """An app with an engine and a metrics registry of its own."""
    metrics = Metrics(CollectorRegistry())
    engine = Engine(settings, metrics)
    return create_app(settings, engine, metrics), engine
