"""The short way: requests for an answer of a model, whose body is there already, go around the framework.

They pass the same layers in the same order, as functions instead of one application inside another. Whatever is not
plain here goes the long way, through the framework's routes, which answer alike: a test holds the two together.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.http.answering import Answering, Kind
from service.http.cycle import incoming_of
from service.http.errors import Refused, unforeseen
from service.http.exchange_layer import Observe, exchange_headers
from service.http.headers import Headers

_PARAMETER = re.compile(r"\\\{(\w+)\\\}")  # as `re.escape` leaves it
_MOST_PATHS = 1024  # that are remembered; beyond it all are forgotten


class Guard(Protocol):
    """A layer that may refuse a request."""

    async def enter(self, scope: Scope, receive: Receive) -> Receive:
        """Let a request in: how its body is to be received. Raises Refused."""
        ...


class Pattern:
    """A route of the short way. path: by which it is observed, such as `/v1/models/{name}/classify`."""

    def __init__(self, path: str, kind: Kind) -> None:
        self.path = path
        self.kind = kind
        self._regex = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(path)))

    def parameters(self, path: str) -> dict[str, str] | None:
        """What a path says in the pattern's places; None for another route's."""
        found = self._regex.fullmatch(path)
        return None if found is None else found.groupdict()


class Front:
    """The short way. guards: from the outside in. pages: whether pages of other origins may ask. A request
    that names its origin goes the long way then, since its answer gets headers that only the framework knows of."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        answering: Answering,
        observe: Observe,
        headers: Headers,
        guards: Sequence[Guard],
        pages: bool = False,
    ) -> None:
        self._pages = pages
        self._patterns = [Pattern(path, kind) for path, kind in kinds.items()]
        self._answering = answering
        self._observe = observe
        self._headers = headers
        self._guards = guards
        self._known: dict[str, tuple[Pattern, dict[str, str]]] = {}

    def takes(self, scope: Scope) -> bool:
        """True for a request that goes this way; its route is in the scope then."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return False
        incoming = incoming_of(scope)
        if incoming is None or not incoming.complete():
            return False
        if self._pages and any(name == b"origin" for name, _ in scope["headers"]):
            return False
        found = self._known.get(scope["path"]) or self._find(scope["path"])
        if found is None:
            return False
        scope["route"], scope["path_params"] = found
        return True

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that goes this way."""
        observed = self._observe.begin(scope)
        exchange = observed.exchange
        try:
            response = await self._response(scope, receive)
            if self._pages:
                response.headers.add_vary_header("Origin")  # one with an origin may be answered otherwise
            exchange.status = response.status_code
            headers = [*self._headers.complete(response.raw_headers), *exchange_headers(exchange)]
            await _give(response, headers, send)
        except Exception as error:
            exchange.status = exchange.status or 500
            response = unforeseen(Request(scope), error)
            await _give(response, response.raw_headers, send)
            raise
        finally:
            self._observe.end(observed, scope)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        try:
            for guard in self._guards:
                receive = await guard.enter(scope, receive)
        except Refused as refusal:
            return refusal.response
        return await self._answering.answer(Request(scope, receive), scope["route"].kind)

    def _find(self, path: str) -> tuple[Pattern, dict[str, str]] | None:
        for pattern in self._patterns:
            if (parameters := pattern.parameters(path)) is not None:
                if len(self._known) >= _MOST_PATHS:
                    self._known.clear()
                self._known[path] = pattern, parameters
                return self._known[path]
        return None


async def _give(response: Response, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
