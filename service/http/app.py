"""The ASGI application: everything it uses is handed in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from harmonic import __version__
from service.config import Settings
from service.engine import Engine, LocalEngine
from service.http import errors
from service.http.access import OPEN, Access, Take, take_here
from service.http.answering import NORM, Answering
from service.http.buffers import Buffers
from service.http.exchange_layer import Observe
from service.http.front import Front, Guard
from service.http.headers import Headers
from service.http.heads import Heads
from service.http.linger import Linger
from service.http.openapi import describe_keys
from service.http.origins import Origins
from service.http.routes import activity, admin, classify, documentation, inference, metadata, page, repository
from service.http.routes.inference import HEAD_LENGTH
from service.telemetry import Metrics, Spans

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig  # younger than the oldest FastAPI that will do

_NO_TELEMETRY: "TelemetryConfig" = {  # the framework's own, which the environment could turn on beside our spans
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


class App(FastAPI):
    """The framework's application, and the way around it."""

    front: Front | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, the short way where it is one for that."""
        if self.front is not None and self.front.takes(scope):
            await self.front.answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, engine: Engine, metrics: Metrics) -> FastAPI:
    """The service over an engine. The engine is started with the app, if it is not yet, and stopped with it."""
    spans = Spans.to(settings.otlp_endpoint) if settings.otlp_endpoint else None
    return _app(settings, engine, metrics, spans)


def _app(settings: Settings, engine: Engine, metrics: Metrics, spans: Spans | None, take: Take = take_here) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        try:
            yield
        finally:
            await _end(engine, spans)

    app = App(
        title="Harmonic",
        summary="Image classification with harmonic networks.",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat the Host that the caller wrote
        docs_url=None,  # the framework's own load their scripts from elsewhere
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
        license_info={"name": "Apache-2.0"},
    )
    limits, buffers = settings.limits(), Buffers(settings.buffered_bytes)
    answering = Answering(engine, buffers, metrics)
    kinds = dict.fromkeys(classify.PATHS, classify.install(app, answering, limits))
    kinds |= dict.fromkeys(inference.PATHS, inference.install(app, answering, limits))
    app.include_router(metadata.router(engine))
    app.include_router(repository.router(engine, limits, buffers))
    app.include_router(admin.models(engine))
    app.include_router(admin.control(engine))
    app.include_router(admin.probes(engine))
    if settings.admin_port is None:
        app.include_router(admin.exposition(engine, metrics))
    app.include_router(activity.router(engine, metrics))
    app.include_router(page.router(engine))
    app.include_router(documentation.router())
    errors.install(app)
    guards = _protect(app, settings, engine, metrics, take)
    app.add_middleware(Observe, spans=spans, access_log=settings.access_log)
    app.add_middleware(Linger)  # the last one added is the outermost
    observe, headers = Observe(app, spans, settings.access_log), Headers(app, engine.parting)
    app.front = Front(kinds, answering, observe, headers, guards, pages=bool(settings.cors_origins))
    return app


def _protect(app: FastAPI, settings: Settings, engine: Engine, metrics: Metrics, take: Take) -> list[Guard]:
    """Put in front of every route, from the inside out: keys, pages of elsewhere, headers. Gives those that refuse."""
    origins = partial(Origins, listed=settings.cors_origins, hosts=settings.hosts(), refused=metrics.refused)
    guards: list[Guard] = [origins(app)]
    app.add_middleware(Heads)
    if keyring := settings.keyring():
        access = partial(
            Access,
            keyring=keyring,
            refused=metrics.refused,
            open_paths=OPEN | page.PATHS | documentation.PATHS,
            take=take,
        )
        guards.append(access(app))
        app.add_middleware(access)
        describe_keys(app)
    app.add_middleware(origins)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,  # outside of the keys: a browser asks whether it may before it sends one
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Encoding", "Content-Type", HEAD_LENGTH, "X-Request-Id"],
            expose_headers=[HEAD_LENGTH, NORM, "Retry-After", "Server-Timing", "X-Request-Id"],
        )
    app.add_middleware(Headers, leaving=engine.parting)
    return guards


def create_admin_app(engine: Engine, metrics: Metrics) -> FastAPI:
    """Probes and metrics alone, for a port of their own."""
    app = FastAPI(
        title="Harmonic: probes and metrics",
        version=__version__,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.include_router(admin.probes(engine))
    app.include_router(admin.exposition(engine, metrics))
    errors.install(app)
    app.add_middleware(Heads)
    app.add_middleware(Headers, leaving=engine.parting)
    app.add_middleware(Observe)
    return app


async def _end(engine: Engine, spans: Spans | None) -> None:
    await engine.stop()
    if spans:
        await asyncio.to_thread(spans.close)


@dataclass(frozen=True, slots=True)
class Service:
    """What serves: the app, its engine, and the app of the port for operators where there is one."""

    app: FastAPI
    engine: Engine
    admin: FastAPI | None
    spans: Spans | None

    async def close(self) -> None:
        """Stop the engine, and send the last spans."""
        await _end(self.engine, self.spans)


def assemble(
    settings: Settings, make: Callable[[Settings, Metrics], Engine] = LocalEngine, take: Take = take_here
) -> Service:
    """A service with an engine and a metrics registry of its own. make: the engine. take: counts requests of keys."""
    metrics = Metrics(CollectorRegistry())
    engine = make(settings, metrics)
    spans = Spans.to(settings.otlp_endpoint) if settings.otlp_endpoint else None
    admin_app = None if settings.admin_port is None else create_admin_app(engine, metrics)
    return Service(_app(settings, engine, metrics, spans, take), engine, admin_app, spans)
