"""GET /docs: every route, to read and to try. Swagger UI comes from an installed package, nothing from elsewhere."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

_PACKAGE = "fastapi_offline"  # it brings Swagger UI's files, and is asked for nothing else
_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
PATHS = frozenset({"/docs", *(f"/docs/{file}" for file in _FILES)})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Harmonic: every route</title>
<link rel="icon" href="page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js" defer></script>
<script src="page/docs.js" defer></script>
</head>
<body>
<main id="routes"></main>
<noscript><p>This page needs JavaScript. The same as JSON: <a href="openapi.json">openapi.json</a>.</p></noscript>
</body>
</html>
"""


def router() -> APIRouter:
    """The page and its files."""
    routes = APIRouter()

    @routes.get("/docs", include_in_schema=False)
    async def documentation() -> Response:
        return Response(_PAGE, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")

    for file in _FILES:
        routes.add_api_route(f"/docs/{file}", _served(file), include_in_schema=False)
    return routes


def _served(file: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        content, tag = await asyncio.to_thread(_read, file)  # at the first look only: most services are never looked at
        headers = {
            "Content-Type": f"{_FILES[file]}; charset=utf-8",
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-cache",
            "ETag": tag,
        }
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return answer


@cache
def _read(file: str) -> tuple[bytes, str]:
    """A file, and what it is known by."""
    content = resources.files(_PACKAGE).joinpath("static", file).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
