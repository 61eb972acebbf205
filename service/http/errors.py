"""Every error as `{"error": {"code", "message"}}`, the framework's own included.

Under /v2 as `{"error": "message"}`, which is what clients of the Open Inference Protocol read.
"""

import logging
import math
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from harmonic.errors import problem_sentence
from service.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ForeignHost,
    ForeignOrigin,
    NotReady,
    RequestError,
    ServiceError,
)
from service.http.exchange_layer import exchange_headers, route
from service.http.headers import PLAIN

log = logging.getLogger(__name__)
_JSON = "application/json"
_PROTOCOL = {415: 400, 422: 400}  # the protocol knows no finer words for a request that is at fault
FRAMEWORK_CODES = {404: "route_not_found", 405: "method_not_allowed", 422: "invalid_request"}


class Refused(Exception):  # noqa: N818 - the answer of a layer in front of the routes, on its way out
    """No route may see the request; `response` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def install(app: FastAPI) -> None:
    """Hand every error of the app to the functions below."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ClientDisconnect, _cancelled)
    app.add_exception_handler(Exception, _unforeseen)


def error_response(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> Response:
    """The shape of an error for whoever asked."""
    if _speaks_protocol(request):
        return Response(to_json({"error": message}), _PROTOCOL.get(status, status), headers, _JSON)
    return Response(to_json({"error": {"code": code, "message": message}}), status, headers, _JSON)


def service_error(request: Request, error: ServiceError) -> Response:
    """An error of the tree, with the headers that belong to it."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    # Another connection may find another instance; an unread body must not be read on.
    if isinstance(error, NotReady | BodyTooLarge | BodyTooSlow | ForeignHost | ForeignOrigin):
        headers["Connection"] = "close"
    return error_response(request, error.status, error.code, error.message, headers)


def _speaks_protocol(request: Request) -> bool:
    path = own_path(request.scope)
    return path == "/v2" or path.startswith("/v2/")


def own_path(scope: Scope) -> str:
    """The path as this app's routes know it, without the prefix under which another app may have mounted it."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(prefix) if prefix and path.startswith(f"{prefix}/") else path


async def _service_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    if not isinstance(error, RequestError):
        log.warning("%s: %s", route(request.scope), error.message)
    return service_error(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = FRAMEWORK_CODES.get(error.status_code, HTTPStatus(error.status_code).name.lower())
    message = f"{request.method} {request.url.path[:200]}: {error.detail}. GET /docs lists the routes."
    return error_response(request, error.status_code, code, message, dict(error.headers or {}))


async def _validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return error_response(request, 422, FRAMEWORK_CODES[422], problem_sentence(error.errors()[0]))


async def _cancelled(request: Request, _: Exception) -> Response:
    """Nobody is left to read this answer; 499 is what the logs of proxies call it."""
    return error_response(request, 499, "client_closed_request", "the caller left before its body was complete")


async def _unforeseen(request: Request, error: Exception) -> Response:
    return unforeseen(request, error)


def unforeseen(request: Request, error: Exception) -> Response:
    """What a fault of the service is answered with, all headers included; the log says more."""
    log.exception("%s", route(request.scope), exc_info=error)
    answer = error_response(request, 500, ServiceError.code, "an error inside the service; its log says more")
    # This answer is made outside of the layers that add them.
    answer.raw_headers.extend([*PLAIN, *exchange_headers(request.scope["exchange"])])
    return answer
