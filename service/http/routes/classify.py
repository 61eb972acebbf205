"""POST .../classify: images in, labels out."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import FastAPI
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from service.answers import Classification, ErrorBody
from service.config import Limits
from service.engine import Caller, VersionFacts, Visit
from service.errors import ModelNotFound, RequestError
from service.http.answering import Answering, Kind, Written, patience, version_in
from service.http.bodies import read_images
from service.http.buffers import Share
from service.ranking import Ranked
from service.telemetry import Answered

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
    },
    {
        "name": "timeout_ms",
        "in": "query",
        "description": "Milliseconds until 504, where that is sooner than the model's deadline.",
        "schema": {"type": "integer", "minimum": 1},
    },
]
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 404, 408, 413, 415, 422, 429, 500, 503, 504)
}


def _path(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


PATHS: dict[str, list[dict[str, Any]]] = {
    "/v1/classify": [],
    "/v1/models/{name}/classify": [_path("name", "string")],
    "/v1/models/{name}/versions/{version}/classify": [_path("name", "string"), _path("version", "integer")],
}


def install(app: FastAPI, answering: Answering, limits: Limits) -> Kind:
    """Add the classify routes; gives what they make of a request.

    Body and query are read by hand, so that nothing is copied or validated twice; the OpenAPI document says the same.
    """
    kind = partial(_Classify, limits)

    async def classify(request: Request) -> Response:
        """Classify one or several images with the default model, a named one, or one of its versions."""
        return await answering.answer(request, kind)

    for path, parameters in PATHS.items():
        # On the app itself: a router inside it is one more match for every request.
        app.add_api_route(
            path,
            classify,
            methods=["POST"],
            response_model=None,
            tags=["classify"],
            responses={200: {"model": Classification}, **_ERRORS},
            openapi_extra={"requestBody": _BODY, "parameters": [*parameters, *_PARAMETERS]},
        )
    return kind


class _Classify:
    """One classify request."""

    def __init__(self, limits: Limits, request: Request) -> None:
        self._limits = limits
        self._top_k, self.timeout_s = _wishes(request)
        self.waited_s = 0.0
        self._images: list[bytes] = []
        self.model: str | None = request.path_params.get("name")
        self.version = version_in(request, ModelNotFound)

    async def read(self, request: Request, _: VersionFacts, share: Share) -> None:
        self._images = await read_images(request, self._limits, share)

    def submit(self, visit: Visit, caller: Caller, share: Share) -> Awaitable[tuple[Ranked, Answered]]:
        timeout_s = patience(self.timeout_s, visit.facts, self.waited_s)
        return visit.submit(self._images, timeout_s=timeout_s, caller=caller, loan=share, best=self._top_k)

    def is_short(self, ranked: Ranked) -> bool:
        images, classes = ranked.logits.shape
        return bool(images * min(self._top_k, classes) <= _INLINE_RANKS)

    def write(self, facts: VersionFacts, ranked: Ranked, answered: Callable[[], Answered]) -> Written:
        manifest = facts.manifest
        answer: dict[str, Any] = {
            "model": facts.name,
            "version": facts.version,
            "predictions": ranked.predictions(manifest.classes, self._top_k, manifest.certain_from),
            "timing_ms": _timing(answered()),
        }
        if facts.adaptive:
            answer["norm"] = "adaptive"
        if facts.precision != "fp32":
            answer["precision"] = facts.precision
        return Written(to_json(answer))


def _timing(answered: Answered) -> dict[str, float]:
    return {
        "decode": _ms(answered.decode_s),
        "queue": _ms(answered.queue_s),
        "inference": _ms(answered.inference_s),
        "total": _ms(answered.total_s),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _wishes(request: Request) -> tuple[int, float | None]:
    """What the query says: how many classes, and after how many seconds the answer is of no use."""
    if not request.scope["query_string"]:
        return TOP_K, None
    query = request.query_params
    timeout_ms = _whole("timeout_ms", query["timeout_ms"]) if "timeout_ms" in query else None
    return _whole("top_k", query.get("top_k", str(TOP_K))), timeout_ms and timeout_ms / 1000


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= 1):
        raise RequestError(f"{name} is {text[:40]!r}; it wants a whole number from 1")
    return int(text)
