"""Who may ask for what: API keys, their scopes, their limits. Pure ASGI, in front of every route.

With no key configured, nothing is asked for; with one, everything but the open paths wants a key, and a path that
nobody thought of is closed. No key and nothing of a request goes into a log.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.config import Holder, Keyring
from service.config import Scope as KeyScope
from service.engine import Caller
from service.errors import BodyTooLarge, Forbidden, RateLimited, ServiceError, Unauthorized
from service.http.answering import introduce
from service.http.cycle import hide_incoming
from service.http.errors import Refused, own_path, service_error

# Documents and probes: they tell nothing of models, callers or traffic.
OPEN = frozenset({"/", "/docs", "/openapi.json", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
CONTROL = ("/v2/repository/models/", "/v1/control/")  # what changes which models serve, and how
_ANY_SCOPE = "/metrics"
_BEARER = b"bearer "
Take = Callable[[Holder], Awaitable[float]]


async def take_here(holder: Holder) -> float:
    """Take one request of a key's limit, which this process counts alone: 0, or the seconds until there is one."""
    return 0.0 if holder.bucket is None else holder.bucket.take()


class Access:
    """ASGI middleware. keyring: holds at least one key. refused: told the code of every refusal. take: counts a request
    of a key that has a limit."""

    def __init__(
        self,
        app: ASGIApp,
        keyring: Keyring,
        refused: Callable[[str], None],
        open_paths: frozenset[str] = OPEN,
        take: Take = take_here,
    ) -> None:
        self._app = app
        self._take = take
        self._refused = refused
        self._keyring = keyring
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                receive = await self.enter(scope, receive)
            except Refused as refusal:
                await refusal.response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def enter(self, scope: Scope, receive: Receive) -> Receive:
        """Let a request in: how its body is to be received. Raises Refused."""
        if own_path(scope) in self._open_paths:
            return receive
        try:
            holder = await self._admit(scope)
        except ServiceError as error:
            self._refused(error.code)
            raise Refused(_refusal(scope, error)) from None
        introduce(scope, Caller(holder.key.name, holder.key.priority))
        most = holder.key.body_bytes
        if most is None:
            return receive
        hide_incoming(scope)  # the body is to be counted as it comes
        return _bounded(receive, most)

    async def _admit(self, scope: Scope) -> Holder:
        """Whose request this is. Raises Unauthorized, Forbidden, RateLimited, BodyTooLarge."""
        presented = _presented(scope)
        if presented is None:
            raise Unauthorized("this service wants an API key: send `Authorization: Bearer KEY`")
        holder = self._keyring.holder(presented)
        if holder is None:
            raise Unauthorized("the API key is not one of this service's", challenge='Bearer error="invalid_token"')
        wanted = _scope_of(own_path(scope))
        if wanted is not None and wanted not in holder.key.scopes:
            raise Forbidden(
                f"this API key may not be used for {wanted}",
                challenge=f'Bearer error="insufficient_scope", scope="{wanted}"',
            )
        if holder.bucket is not None and (seconds := await self._take(holder)):
            raise RateLimited(
                f"this API key may ask {holder.key.requests_per_minute} times a minute", retry_after_s=seconds
            )
        if holder.key.body_bytes is not None and _declared(scope) > holder.key.body_bytes:
            raise _too_large(holder.key.body_bytes)
        return holder


def _scope_of(path: str) -> KeyScope | None:
    """What a path wants of a key; None: any key will do."""
    if path == _ANY_SCOPE:
        return None
    return "control" if path.startswith(CONTROL) else "inference"


def _presented(scope: Scope) -> bytes | None:
    """The one key of a request; two are as good as none."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1 or found[0][: len(_BEARER)].lower() != _BEARER:
        return None
    return bytes(found[0][len(_BEARER) :]).strip() or None


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _bounded(receive: Receive, most: int) -> Receive:
    """The same body, up to `most` bytes; then BodyTooLarge, wherever the body is read."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise _too_large(most)
        return message

    return counted


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than the {most:,} bytes that this API key may send")


def _refusal(scope: Scope, error: ServiceError) -> Response:
    response = service_error(Request(scope), error)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = error.challenge
    response.headers["Connection"] = "close"  # its body was not read, and is not going to be
    return response
