"""What the routes of the Open Inference Protocol share: their paths, their errors, the version that a path names."""

from typing import Any

from starlette.requests import Request

from service.errors import RequestError
from service.http.answering import version_in

_ERROR: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
        }
    }
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, **_ERROR}
    for status, text in (
        (400, "The request is at fault"),
        (404, "No such model or version"),
        (408, "The body came too slowly"),
        (413, "Too large"),
        (429, "No room; see Retry-After"),
        (500, "The model failed"),
        (503, "Not ready"),
        (504, "Too late"),
    )
}


def asked_version(request: Request) -> int | None:
    """The version in the path; None if it names none. Raises RequestError for what is no number."""
    return version_in(request, RequestError)


def _path(name: str) -> dict[str, Any]:
    kind = "integer" if name == "version" else "string"
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


NAME, VERSION = _path("name"), _path("version")
BASES = {
    "/v2/models/{name}": {"parameters": [NAME]},
    "/v2/models/{name}/versions/{version}": {"parameters": [NAME, VERSION]},
}
