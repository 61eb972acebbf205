"""POST .../classify: images in, labels out."""

import asyncio
import time
from functools import partial
from typing import Any

from fastapi import FastAPI
from pydantic_core import to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.config import Limits
from service.engine import Engine, Outcome, ReadyVersion, caller_of
from service.errors import ModelNotFound, RequestError, ServiceError
from service.http.bodies import read_images
from service.http.buffers import Buffers
from service.http.departure import Departed, unless_departed
from service.http.errors import service_error
from service.http.marks import marks
from service.http.schemas import Classification, ErrorBody
from service.ranking import predictions
from service.telemetry import Metrics

TOP_K = 5
_INLINE_RANKS = 2048  # classes of all images together; more are written in a thread, so that the loop never computes
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        **{
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "application/octet-stream")
        },
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["images"],
                "additionalProperties": False,
                "properties": {
                    "images": {"type": "array", "minItems": 1, "items": {"type": "string", "contentEncoding": "base64"}}
                },
            }
        },
    },
}
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "top_k",
        "in": "query",
        "description": "How many classes an image gets; more than the model has means all.",
        "schema": {"type": "integer", "minimum": 1, "default": TOP_K},
    }
]
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 404, 408, 413, 415, 422, 429, 500, 503, 504)
}


def _path(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def install(app: FastAPI, engine: Engine, limits: Limits, buffers: Buffers, metrics: Metrics) -> None:
    """Add the classify routes.

    Body and query are read by hand, so that nothing is copied or validated twice; the OpenAPI document says the same.
    """

    async def classify(request: Request) -> Response:
        """Classify one or several images with the default model, a named one, or one of its versions."""
        return await _Classify(engine, limits, buffers, metrics).answer(request)

    for path, parameters in (
        ("/v1/classify", []),
        ("/v1/models/{name}/classify", [_path("name", "string")]),
        ("/v1/models/{name}/versions/{version}/classify", [_path("name", "string"), _path("version", "integer")]),
    ):
        app.add_api_route(  # on the app itself: a router inside it is one more match for every request
            path,
            classify,
            methods=["POST"],
            response_model=None,
            tags=["classify"],
            responses={200: {"model": Classification}, **_ERRORS},
            openapi_extra={"requestBody": _BODY, "parameters": [*parameters, *_PARAMETERS]},
        )


class _Classify:
    """One request's way through the service."""

    def __init__(self, engine: Engine, limits: Limits, buffers: Buffers, metrics: Metrics) -> None:
        self._engine = engine
        self._limits = limits
        self._buffers = buffers
        self._metrics = metrics
        self._model, self._version = (
            "",
            "",
        )  # labels of the metrics: only names that exist, or callers could invent any number

    async def answer(self, request: Request) -> Response:
        started = time.monotonic()
        try:
            response = await self._classify(request, started)
        except ServiceError as error:
            response = service_error(request, error)
        except (ClientDisconnect, Departed):
            response = Response(status_code=499)  # nobody reads it
        except Exception:
            self._metrics.count(self._model, self._version, 500)
            raise
        self._metrics.count(self._model, self._version, response.status_code)
        return response

    async def _classify(self, request: Request, started: float) -> Response:
        top_k = _top_k(request)
        with (
            self._engine.visit(request.path_params.get("name"), _version(request)) as visit,
            self._buffers.share() as share,
        ):
            self._model, self._version = visit.entry.name, str(visit.entry.version)
            images = await read_images(request, self._limits, share)
            outcome = await unless_departed(request, visit.submit(images, caller=caller_of(request.scope), loan=share))
            write = partial(_body, visit.entry, outcome, top_k, started)
            ranks = len(outcome.logits) * min(top_k, outcome.logits.shape[1])
            body = write() if ranks <= _INLINE_RANKS else await asyncio.to_thread(write)
            visit.note(outcome, time.monotonic() - started)
        return Response(body, headers=marks(visit.entry), media_type="application/json")


def _body(entry: ReadyVersion, outcome: Outcome, top_k: int, started: float) -> bytes:
    ranked = predictions(outcome.logits, entry.manifest.classes, top_k)
    timing = {
        "decode": _ms(outcome.decode_s),
        "queue": _ms(outcome.queue_s),
        "inference": _ms(outcome.inference_s),
        "total": _ms(time.monotonic() - started),
    }
    answer = {"model": entry.name, "version": entry.version, "predictions": ranked, "timing_ms": timing}
    return to_json({**answer, "norm": "adaptive"} if entry.adaptive else answer)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _top_k(request: Request) -> int:
    if not request.scope["query_string"]:
        return TOP_K
    text = request.query_params.get("top_k", str(TOP_K))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= 1):
        raise RequestError(f"top_k is {text[:40]!r}; it wants a whole number from 1")
    return int(text)


def _version(request: Request) -> int | None:
    text = request.path_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise ModelNotFound(f"{text[:40]!r} is no version; versions are whole numbers from 1")
    return int(text)
