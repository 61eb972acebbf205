"""Pages of elsewhere: what a browser may be made to ask of this service behind its user's back. Pure ASGI.

A page of any origin can have a browser send a POST here, and one whose name is made to point at this machine (DNS
rebinding) can even read the answers. The first is known by the request's origin, the second by its Host. Programs
send neither Origin nor Sec-Fetch-Site and are let through.
"""

import ipaddress
from collections.abc import Callable, Collection
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ForeignHost, ForeignOrigin, ServiceError
from service.http.access import CONTROL
from service.http.errors import Refused, own_path, service_error

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # they change nothing
_OWN_SITE = frozenset({b"same-origin", b"none"})  # none: the person typed the address
_ANY = "*"


class Origins:
    """ASGI middleware. listed: origins whose pages may ask. hosts: names the service goes by beside localhost and
    addresses of machines; None to take any. refused: told the code of every refusal."""

    def __init__(
        self, app: ASGIApp, listed: Collection[str], hosts: Collection[str] | None, refused: Callable[[str], None]
    ) -> None:
        self._app = app
        self._refused = refused
        self._listed = frozenset(listed)
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await self.enter(scope, receive)
            except Refused as refusal:
                await refusal.response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def enter(self, scope: Scope, receive: Receive) -> Receive:
        """Let a request in: how its body is to be received. Raises Refused."""
        try:
            self._check(scope)
        except ServiceError as error:
            self._refused(error.code)
            raise Refused(service_error(Request(scope), error)) from None
        return receive

    def _check(self, scope: Scope) -> None:
        """Raises ForeignHost, ForeignOrigin."""
        headers = dict(scope["headers"])
        host = headers.get(b"host")
        if self._hosts is not None and host is not None and _local(scope) and not self._known(_name(host)):
            raise ForeignHost(
                f"this service does not go by the name {_name(host)[:100]!r}; ask 127.0.0.1 or localhost, or let the "
                "operator list the name in allowed_hosts"
            )
        if scope["method"] not in _SAFE and _foreign(headers, host) and not self._may_ask(scope, headers):
            raise ForeignOrigin(
                "a page of another origin may not ask this of the service; the operator lists origins in cors_origins"
            )

    def _known(self, name: str) -> bool:
        return _is_address(name) or name == "localhost" or name.endswith(".localhost") or name in (self._hosts or ())

    def _may_ask(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        """True for a listed origin; what changes the service wants it listed by its name."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        return origin in self._listed or (_ANY in self._listed and not own_path(scope).startswith(CONTROL))


def _local(scope: Scope) -> bool:
    """True if the request arrived at an address that only this machine reaches."""
    host, _ = scope.get("server") or ("", None)
    return _is_loopback(host)


def _foreign(headers: dict[bytes, bytes], host: bytes | None) -> bool:
    """True if a page of another origin made the browser send this."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in _OWN_SITE
    origin = headers.get(b"origin")
    if origin is None:
        return False  # no browser
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower() != (host or b"").decode("latin-1").lower()
    except ValueError:  # no address at all
        return True


def _name(host: bytes) -> str:
    """The name in a Host header, without its port."""
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


@lru_cache(256)  # this machine has a few
def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


@lru_cache(256)  # callers come to a few names
def _is_address(name: str) -> bool:
    """True for an IP address: no name server had a say in it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
