"""The OpenAPI document of a service that wants API keys: what the guard in front of the routes may answer."""

from typing import Any

from fastapi import FastAPI

from service.http.access import OPEN

_ANSWERS = {
    "401": "No API key, or none of this service's.",
    "403": "The API key has not the scope for this.",
    "413": "More than the API key may send.",
    "429": "The API key asks too often.",
}


def describe_keys(app: FastAPI) -> None:
    """Let the app's document say where a key is wanted, and what comes without one."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _describe(plain())
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _describe(document: dict[str, Any]) -> None:
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["key"] = {"type": "http", "scheme": "bearer", "description": "An API key, as `harmonic key` makes it."}
    for path, operations in document["paths"].items():
        if path not in OPEN:
            for operation in operations.values():
                operation["security"] = [{"key": []}]
                for status, description in _ANSWERS.items():
                    operation["responses"].setdefault(status, {"description": description})
