"""The model repository extension of the Open Inference Protocol: what there is, load, unload.

A request names a model of the configured repository and nothing else: no path, no address, no file of its own.
"""

from dataclasses import replace
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from harmonic.errors import sentence
from service.config import Limits
from service.engine import Engine
from service.errors import RequestError
from service.http.bodies import read_body
from service.http.buffers import Buffers
from service.http.protocol_paths import ERRORS, NAME
from service.protocol import description

_BODY_BYTES = 64 * 1024
_BODY: dict[str, Any] = {"content": {"application/json": {"schema": {"type": "object"}}}}
_ERRORS: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (400, 404, 408, 413, 429, 503)}


class _IndexRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    ready: StrictBool = False


class _ControlRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    parameters: dict[str, Any] = Field(default_factory=dict)


T = TypeVar("T", bound=BaseModel)


def router(engine: Engine, limits: Limits, buffers: Buffers) -> APIRouter:
    """The repository's routes."""
    routes = APIRouter(tags=["inference protocol"])
    small = replace(limits, body_bytes=min(limits.body_bytes, _BODY_BYTES))

    async def asked(request: Request, kind: type[T]) -> T:
        with buffers.share() as share:
            return _parsed(kind, await read_body(request, small, share))

    @routes.post("/v2/repository/index", response_model=None, responses=_ERRORS, openapi_extra={"requestBody": _BODY})
    async def index(request: Request) -> Response:
        """Every version of every model: its state, and why it is not ready."""
        only_ready = (await asked(request, _IndexRequest)).ready
        return JSONResponse(description.index(await engine.index(), only_ready))

    async def load(request: Request) -> Response:
        """Load a model of the repository, or what is new of it. Only where model control is explicit."""
        _check(await asked(request, _ControlRequest))
        await engine.load_model(request.path_params["name"])
        return JSONResponse({})

    async def unload(request: Request) -> Response:
        """Answer what is in flight, then forget the model. Only where model control is explicit."""
        _check(await asked(request, _ControlRequest))
        await engine.unload_model(request.path_params["name"])
        return JSONResponse({})

    for act in (load, unload):
        routes.add_api_route(
            f"/v2/repository/models/{{name}}/{act.__name__}",
            act,
            methods=["POST"],
            response_model=None,
            responses=_ERRORS,
            openapi_extra={"requestBody": _BODY, "parameters": [NAME]},
        )
    return routes


def _parsed(kind: type[T], body: bytes) -> T:
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise RequestError(sentence(error, "the request")) from None


def _check(request: _ControlRequest) -> None:
    """Refuse what would bring a model or a configuration from anywhere but the repository."""
    foreign = [name for name in request.parameters if name == "config" or name.startswith("file:")]
    if foreign:
        raise RequestError(
            f"the parameter {foreign[0][:80]!r} is not taken: models and their configuration come from the repository"
        )
