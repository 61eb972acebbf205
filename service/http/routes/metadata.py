"""What the Open Inference Protocol tells of a server and its models: metadata, health, configuration, statistics."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from harmonic import __version__
from service.engine import Engine, VersionFacts
from service.errors import NotLoaded
from service.http.protocol_paths import BASES, ERRORS, asked_version
from service.protocol import description

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "schedule_policy",
    "statistics",
    "image_bytes",
)
_FOUND: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (400, 404, 503)}


def router(engine: Engine) -> APIRouter:
    """The routes about the server and about models."""
    routes = APIRouter(tags=["inference protocol"])
    _about_the_server(routes, engine)
    _about_models(routes, engine)
    return routes


def _about_the_server(routes: APIRouter, engine: Engine) -> None:
    @routes.get("/v2", response_model=None)
    async def server() -> dict[str, Any]:
        """Name, version and extensions of the server."""
        return {"name": "harmonic", "version": __version__, "extensions": list(EXTENSIONS)}

    @routes.get("/v2/health/live", response_model=None, responses={503: {"description": "Not alive"}})
    async def live() -> Response:
        """200 while the process can answer, 503 once only a new process can."""
        live = engine.alive()
        return JSONResponse({"live": live}, 200 if live else 503)

    @routes.get("/v2/health/ready", response_model=None, responses={503: {"description": "Not ready"}})
    async def ready() -> Response:
        """200 while requests are let in, else 503."""
        ready = engine.ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    @routes.get("/v2/models/stats", response_model=None)  # before {name}, or it would be taken for one
    async def all_statistics() -> dict[str, Any]:
        """Statistics of every ready version."""
        return await _statistics(engine, None, None)


def _about_models(routes: APIRouter, engine: Engine) -> None:
    async def metadata(request: Request) -> dict[str, Any]:
        """The inputs and outputs of a model."""
        await engine.gather()
        return description.metadata(await _facts(engine, request), engine.describe())

    async def model_ready(request: Request) -> dict[str, Any]:
        """200 if the model can be asked."""
        try:
            name = engine.find(request.path_params["name"], asked_version(request)).name
        except NotLoaded as on_demand:  # a request for an answer waits for it
            name = on_demand.name
        return {"name": name, "ready": True}

    async def config(request: Request) -> dict[str, Any]:
        """The model's configuration in force, in Triton's terms."""
        return description.config(await _facts(engine, request))

    async def statistics(request: Request) -> dict[str, Any]:
        """Statistics of a model's ready versions, or of one of them."""
        await _facts(engine, request)
        return await _statistics(engine, request.path_params["name"], asked_version(request))

    for base, path in BASES.items():
        for tail, asked in (("", metadata), ("/ready", model_ready), ("/config", config), ("/stats", statistics)):
            routes.add_api_route(base + tail, asked, response_model=None, responses=_FOUND, openapi_extra=path)


async def _facts(engine: Engine, request: Request) -> VersionFacts:
    """What is asked about; a version on demand is loaded, for what is told is how it runs."""
    model, version = request.path_params["name"], asked_version(request)
    try:
        return engine.find(model, version)
    except NotLoaded:
        await engine.have(model, version)
        return engine.find(model, version)


async def _statistics(engine: Engine, name: str | None, version: int | None) -> dict[str, Any]:
    await engine.gather()
    figures, counts = engine.figures(), engine.statistics()
    chosen = [key for key in sorted(figures) if name in {None, key[0]} and version in {None, key[1]}]
    return {"model_stats": [description.statistics(*key, figures[key], counts[key]) for key in chosen]}
