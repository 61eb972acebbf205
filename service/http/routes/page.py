"""The page at /, its files, and what it shows of a version: the model card, the report and the spectrum.

The page uses the service's public routes alone and nothing from elsewhere; its content policy lets it do no more.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from export.manifest import CARD, REPORT, SPECTRUM
from service.answers import ErrorBody
from service.engine import Engine

_Version = Annotated[int, Path(ge=1)]
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = (
    "page.css",
    "icon.svg",
    "page.js",
    "api.js",
    "dom.js",
    "pictures.js",
    "result.js",
    "live.js",
    "spectrum.js",
    "card.js",
    "report.js",
    "reading.js",
    "chart.js",
    "compare.js",
    "docs.js",
)
PATHS = frozenset({"/", *(f"/page/{file}" for file in _FILES)})  # they tell nothing but what this file's page is
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)
_DOCUMENT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def router(engine: Engine) -> APIRouter:
    """The routes of the page."""
    routes = APIRouter()
    routes.add_api_route("/", _static("index.html"), include_in_schema=False)
    for file in _FILES:
        routes.add_api_route(f"/page/{file}", _static(file), include_in_schema=False)
    missing: dict[int | str, dict[str, Any]] = {404: {"model": ErrorBody}}
    json: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}}}, **missing}
    base = "/v1/models/{name}/versions/{version}"

    @routes.get(f"{base}/card", tags=["service"], responses={200: {"content": {"text/markdown": {}}}, **missing})
    async def card(name: str, version: _Version) -> Response:
        """The model card of a version, as Markdown."""
        return await _document(engine, name, version, CARD, "text/markdown; charset=utf-8")

    @routes.get(f"{base}/spectrum", tags=["service"], responses=json)
    async def spectrum(name: str, version: _Version) -> Response:
        """The weight and the energy of each frequency in each layer of a version."""
        return await _document(engine, name, version, SPECTRUM, "application/json")

    @routes.get(f"{base}/report", tags=["service"], responses=json)
    async def report(name: str, version: _Version) -> Response:
        """What was found when a version was judged: figures, curves and confusion, without an image."""
        return await _document(engine, name, version, REPORT, "application/json")

    return routes


def _static(file: str) -> Callable[[Request], Awaitable[Response]]:
    content = resources.files("service").joinpath("http", "page", file).read_bytes()
    headers = {
        "Content-Type": f"{_KINDS[file[file.rindex('.') :]]}; charset=utf-8",
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-cache",  # asked again each time, answered with 304: a new build is never half an old one
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    }

    async def answer(request: Request) -> Response:
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return answer


async def _document(engine: Engine, name: str, version: int, file: str, kind: str) -> Response:
    content = await asyncio.to_thread(engine.document, name, version, file)
    return Response(content, headers={"Content-Type": kind, "Content-Security-Policy": _DOCUMENT_POLICY})
