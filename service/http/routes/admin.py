"""What operators ask: which models, alive, ready, metrics."""

from typing import Annotated, Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from service.answers import ErrorBody, Health, ModelDetail, ModelList
from service.config import make_split
from service.engine import Engine
from service.errors import ModelNotFound
from service.http.schemas import model_detail, model_list
from service.telemetry import Metrics


class Shares(BaseModel):
    """Shares of versions, which come to 1."""

    model_config = ConfigDict(extra="forbid")

    shares: Annotated[dict[int, float], Field(min_length=1, max_length=100)] = Field(examples=[{"2": 0.9, "3": 0.1}])


def models(engine: Engine) -> APIRouter:
    """What is served."""
    routes = APIRouter(tags=["service"])

    @routes.get("/v1/models", response_model_exclude_none=True)
    async def all_models() -> ModelList:
        """Every model: its versions, what they take, where they run, why a broken one is left out."""
        await engine.gather()
        return model_list(engine.describe())

    @routes.get("/v1/models/{name}", response_model_exclude_none=True, responses={404: {"model": ErrorBody}})
    async def model(name: str) -> ModelDetail:
        """One model in full: class labels, parity with the original, licence and notice."""
        await engine.gather()
        found = model_detail(engine.describe(), name)
        if found is None:
            raise ModelNotFound(f"there is no model {name[:100]!r}; GET /v1/models lists them")
        return found

    return routes


def control(engine: Engine) -> APIRouter:
    """What an operator may change where model control is explicit; with API keys, it wants one for control."""
    routes = APIRouter(tags=["service"])

    @routes.post(
        "/v1/control/models/{name}/norm/reset",
        responses={status: {"model": ErrorBody} for status in (400, 404, 503)},
    )
    async def reset_norm(name: str) -> Health:
        """Forget what a model's adaptive norms took from the traffic."""
        await engine.reset_norm(name)
        return Health(status="reset")

    refusals: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 404, 503)}

    @routes.post("/v1/control/models/{name}/split", responses=refusals)
    async def split(name: str, wanted: Shares) -> Health:
        """Share the requests for a model that name no version among its versions."""
        await engine.split_model(name, make_split(name, wanted.shares))
        return Health(status="split")

    @routes.delete("/v1/control/models/{name}/split", responses=refusals)
    async def end_split(name: str) -> Health:
        """Have the newest version answer again."""
        await engine.split_model(name, None)
        return Health(status="not split")

    return routes


def probes(engine: Engine) -> APIRouter:
    """Alive, and ready."""
    routes = APIRouter(tags=["service"])

    @routes.get("/livez", responses={200: {"model": Health}, 503: {"model": Health}}, response_model=None)
    async def alive() -> JSONResponse:
        """200 while the process can answer; 503 once only a new process can, as after the loss of a device."""
        return JSONResponse({"status": "alive"}) if engine.alive() else JSONResponse({"status": "not alive"}, 503)

    @routes.get("/readyz", responses={200: {"model": Health}, 503: {"model": Health}}, response_model=None)
    async def ready() -> JSONResponse:
        """200 while classify requests are let in; 503 before, without a model, and from the start of a shutdown."""
        return JSONResponse({"status": "ready"}) if engine.ready() else JSONResponse({"status": "not ready"}, 503)

    return routes


def exposition(engine: Engine, metrics: Metrics) -> APIRouter:
    """What Prometheus scrapes."""
    routes = APIRouter(tags=["service"])

    @routes.get("/metrics", response_model=None, responses={200: {"content": {"text/plain": {}}}})
    async def scrape() -> Response:
        """Prometheus metrics."""
        await engine.gather()
        return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes
