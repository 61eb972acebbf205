"""The Open Inference Protocol, version 2: what KServe and Triton's clients speak.

Errors are `{"error": "message"}`; `service.http.errors` sees to it by the path.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.config import Limits
from service.engine import Caller, VersionFacts, Visit
from service.errors import BodyTooLarge, RequestError
from service.http.answering import Answering, Kind, Written, patience
from service.http.bodies import read_body
from service.http.buffers import Share
from service.http.content_coding import check_coding, inflate
from service.http.protocol_paths import BASES, ERRORS, asked_version
from service.protocol import InferenceRequest, Wanted, memory_of_json, read_request, write_response
from service.ranking import Ranked
from service.telemetry import Answered

HEAD_LENGTH = "Inference-Header-Content-Length"
_INLINE_BYTES = 64 * 1024  # more JSON than this is read in a thread, so that the loop never computes
_INLINE_LOGITS = 4096  # more of them are written as text in a thread, too
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "parameters": {"type": "object"},
                    "inputs": {"type": "array", "minItems": 1, "items": {"type": "object"}},
                    "outputs": {"type": "array", "items": {"type": "object"}},
                },
            }
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


PATHS = {f"{base}/infer": parameters for base, parameters in BASES.items()}


def install(app: FastAPI, answering: Answering, limits: Limits) -> Kind:
    """Add the inference route: the newest ready version answers, or the one that the path names. Gives what it makes of
    a request."""

    # Several would keep the interpreter from everybody else for as long as all of them take.
    one_parse = asyncio.Lock()
    kind = partial(_Infer, limits, one_parse)

    async def infer(request: Request) -> Response:
        """Ask a model: tensors in, logits or classes out, as JSON or binary."""
        return await answering.answer(request, kind)

    for path, parameters in PATHS.items():
        # On the app itself, as classify is.
        app.add_api_route(
            path,
            infer,
            methods=["POST"],
            response_model=None,
            tags=["inference protocol"],
            responses=ERRORS,
            openapi_extra={"requestBody": _BODY, **parameters},
        )
    return kind


class _Infer:
    """One inference request. one_parse: held while a long one is parsed."""

    _asked: InferenceRequest

    def __init__(self, limits: Limits, one_parse: asyncio.Lock, request: Request) -> None:
        self._limits = limits
        self._one_parse = one_parse
        self.timeout_s: float | None = None  # its body may bring one
        self.waited_s = 0.0
        self.model: str | None = request.path_params["name"]
        self.version = asked_version(request)

    async def read(self, request: Request, facts: VersionFacts, share: Share) -> None:
        self._asked = await self._parse(request, facts, share)

    def submit(self, visit: Visit, caller: Caller, share: Share) -> Awaitable[tuple[Ranked, Answered]]:
        asked = self._asked
        timeout_s = patience(asked.timeout_s, visit.facts, self.waited_s)
        if isinstance(asked.images, list):
            return visit.submit(asked.images, asked.priority, timeout_s, caller, share)
        return visit.submit_rows(asked.images, asked.priority, timeout_s, caller)

    def is_short(self, ranked: Ranked) -> bool:
        return ranked.logits.size <= _INLINE_LOGITS or self._asked.wanted == Wanted(True)

    def write(self, facts: VersionFacts, ranked: Ranked, _: Callable[[], Answered]) -> Written:
        body, head_bytes = write_response(self._asked, facts.name, facts.version, facts.manifest, ranked.logits)
        if head_bytes is None:
            return Written(body)
        return Written(body, "application/octet-stream", {HEAD_LENGTH: str(head_bytes)})

    async def _parse(self, request: Request, facts: VersionFacts, share: Share) -> InferenceRequest:
        coding = check_coding(request.headers.get("content-encoding", ""))
        head_bytes = _head_bytes(request)
        body = await inflate(await read_body(request, self._limits, share), coding, self._limits, share)
        json_bytes = len(body) if head_bytes is None else min(head_bytes, len(body))
        if json_bytes > self._limits.json_bytes:
            raise BodyTooLarge(
                f"{json_bytes:,} bytes of JSON; up to {self._limits.json_bytes:,} are taken. Send binary tensors."
            )
        most = self._limits.images
        share.take(len(body))  # the images, or the head, are copied out of it
        if json_bytes <= _INLINE_BYTES:
            return read_request(body, head_bytes, facts.manifest, most)
        async with self._one_parse:
            share.take(await asyncio.to_thread(memory_of_json, body[:json_bytes]))
            return await asyncio.to_thread(read_request, body, head_bytes, facts.manifest, most)


def _head_bytes(request: Request) -> int | None:
    text = request.headers.get(HEAD_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise RequestError(f"{HEAD_LENGTH} is {text[:40]!r}; it wants a number of bytes")
    return int(text)
