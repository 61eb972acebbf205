"""The Open Inference Protocol, version 2: what KServe and Triton's clients speak.

Errors are `{"error": "message"}`; `service.http.errors` sees to it by the path.
"""

import asyncio
import time
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.config import Limits
from service.engine import Caller, Engine, Outcome, ReadyVersion, Visit, caller_of
from service.errors import BodyTooLarge, RequestError, ServiceError
from service.http.bodies import read_body
from service.http.buffers import Buffers, Share
from service.http.content_coding import check_coding, inflate
from service.http.departure import Departed, unless_departed
from service.http.errors import service_error
from service.http.marks import marks
from service.http.protocol_paths import BASES, ERRORS, asked_version
from service.protocol import InferenceRequest, Wanted, memory_of_json, read_request, write_response
from service.telemetry import Metrics

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


def install(app: FastAPI, engine: Engine, limits: Limits, buffers: Buffers, metrics: Metrics) -> None:
    """Add the inference route: the newest ready version answers, or the one that the path names."""

    one_parse = asyncio.Lock()  # several would keep the interpreter from everybody else for as long as all of them take

    async def infer(request: Request) -> Response:
        """Ask a model: tensors in, logits or classes out, as JSON or binary."""
        return await _Infer(engine, limits, buffers, metrics, one_parse).answer(request)

    for base, path in BASES.items():
        app.add_api_route(  # on the app itself, as classify is
            f"{base}/infer",
            infer,
            methods=["POST"],
            response_model=None,
            tags=["inference protocol"],
            responses=ERRORS,
            openapi_extra={"requestBody": _BODY, **path},
        )


class _Infer:
    """One inference request's way through the service."""

    def __init__(
        self, engine: Engine, limits: Limits, buffers: Buffers, metrics: Metrics, one_parse: asyncio.Lock
    ) -> None:
        self._engine = engine
        self._one_parse = one_parse
        self._limits = limits
        self._buffers = buffers
        self._metrics = metrics
        self._labels = ("", "")  # only names that exist, or callers could invent any number

    async def answer(self, request: Request) -> Response:
        started = time.monotonic()
        try:
            response = await self._infer(request, started)
        except ServiceError as error:
            response = service_error(request, error)
        except (ClientDisconnect, Departed):
            response = Response(status_code=499)  # nobody reads it
        except Exception:
            self._metrics.count(*self._labels, 500)
            raise
        self._metrics.count(*self._labels, response.status_code)
        return response

    async def _infer(self, request: Request, started: float) -> Response:
        with (
            self._engine.visit(request.path_params["name"], asked_version(request)) as visit,
            self._buffers.share() as share,
        ):
            entry = visit.entry
            self._labels = (entry.name, str(entry.version))
            asked = await self._read(request, share, entry)
            outcome = await unless_departed(request, _submit(visit, asked, caller_of(request.scope), share))
            write = partial(write_response, asked, entry.name, entry.version, entry.manifest, outcome.logits)
            inline = outcome.logits.size <= _INLINE_LOGITS or asked.wanted == Wanted(True)
            body, head_bytes = write() if inline else await asyncio.to_thread(write)
            visit.note(outcome, time.monotonic() - started)
        if head_bytes is None:
            return Response(body, headers=marks(entry), media_type="application/json")
        headers = {HEAD_LENGTH: str(head_bytes), **marks(entry)}
        return Response(body, headers=headers, media_type="application/octet-stream")

    async def _read(self, request: Request, share: Share, entry: ReadyVersion) -> InferenceRequest:
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
            return read_request(body, head_bytes, entry.manifest, most)
        async with self._one_parse:
            share.take(await asyncio.to_thread(memory_of_json, body[:json_bytes]))
            return await asyncio.to_thread(read_request, body, head_bytes, entry.manifest, most)


async def _submit(visit: Visit, asked: InferenceRequest, caller: Caller, share: Share) -> Outcome:
    if isinstance(asked.images, list):
        return await visit.submit(asked.images, asked.priority, asked.timeout_s, caller, share)
    return await visit.submit_rows(asked.images, asked.priority, asked.timeout_s, caller)


def _head_bytes(request: Request) -> int | None:
    text = request.headers.get(HEAD_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise RequestError(f"{HEAD_LENGTH} is {text[:40]!r}; it wants a number of bytes")
    return int(text)
