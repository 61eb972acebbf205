"""The outermost layer of the app: every answer gets its id and its timing, every request its access line and span.

Pure ASGI: it looks at heads only and never at a body. Nothing that a caller wrote goes into the log but a request id
and a trace id of harmless characters; a path is named by its route.
"""

import logging
from typing import TYPE_CHECKING, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry import Exchange, Spans, begin

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
access = logging.getLogger("service.http.access")


class Observe:
    """ASGI middleware. spans: where spans go, None for nowhere. access_log: a log line for every request."""

    def __init__(self, app: ASGIApp, spans: Spans | None = None, access_log: bool = False) -> None:
        self._app = app
        self._spans = spans
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        observed = self.begin(scope)
        exchange = observed.exchange

        async def send_with_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *exchange_headers(exchange)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_head)
        except Exception:
            exchange.status = exchange.status or 500  # made outside of this layer, by service/http/errors.py
            raise
        finally:
            self.end(observed, scope)

    def begin(self, scope: Scope) -> "Observed":
        """A request begins."""
        exchange = scope["exchange"] = begin(scope["headers"])
        return Observed(exchange, self._spans.begin(exchange, scope) if self._spans else None)

    def end(self, observed: "Observed", scope: Scope) -> None:
        """It was answered, or nobody waits for that any more."""
        exchange = observed.exchange
        exchange.status = exchange.status or 499  # no answer was begun: the caller had left
        if observed.span is not None and self._spans is not None:
            self._spans.end(observed.span, exchange, _method(scope), route(scope))
        if self._access_log:
            _log(exchange, scope)


class Observed(NamedTuple):
    """A request that is observed; span: what goes to a collector, None where none does."""

    exchange: Exchange
    span: "Span | None"


def exchange_headers(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """What an answer tells of its exchange."""
    return [(b"x-request-id", exchange.request_id.encode()), (b"server-timing", exchange.server_timing())]


def route(scope: Scope) -> str:
    """The route's pattern, such as /v1/models/{name}/classify; a path that is none is not repeated."""
    return str(getattr(scope.get("route"), "path", "(no route)"))


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "_OTHER"


def _log(exchange: Exchange, scope: Scope) -> None:
    facts: dict[str, object] = {
        "method": _method(scope),
        "route": route(scope),
        "status": exchange.status,
        "duration_ms": round(exchange.seconds() * 1000, 3),
    }
    if found := exchange.answered:
        facts |= {"model": found.model, "version": found.version, "images": found.images, "batch": found.batch_size}
    access.info("%(method)s %(route)s %(status)d in %(duration_ms).1f ms", facts, extra={"facts": facts})
