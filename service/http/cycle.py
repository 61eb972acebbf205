"""One request on a connection, and its answer: what a route may know of both beyond ASGI.

An answer's head is written together with the first piece of its body: one call of the system instead of two.
"""

from collections.abc import Callable
from typing import Any, Protocol, cast

from starlette.types import Message, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_INCOMING = "harmonic.incoming"  # in the ASGI scope, while the request is answered
_JOINED_BYTES = 64 * 1024  # a larger body is not copied to stand behind its head
_BODILESS = (204, 304)


class Incoming(Protocol):
    """A request as its connection sees it."""

    def complete(self) -> bool:
        """True once all of its body was received, and none of it taken."""
        ...

    def whole(self) -> bytes | None:
        """The body, once; None where it is not complete."""
        ...

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """Call this as soon as the caller is gone, at once if it is; None calls nobody any more."""
        ...


def incoming_of(scope: Scope) -> Incoming | None:
    """The request as its connection sees it; None under a server that is not ours."""
    return cast(Incoming | None, scope.get(_INCOMING))


def hide_incoming(scope: Scope) -> None:
    """Let nobody further in see it: what is received there is not all as it came."""
    scope.pop(_INCOMING, None)


class Cycle(RequestResponseCycle):
    """uvicorn's cycle of a request and its answer."""

    def __init__(self, **wiring: Any) -> None:
        super().__init__(**wiring)
        self._head = b""  # of the answer, until the body's first piece comes
        self._left = 0  # bytes of the body that the head has announced
        self._tell: Callable[[], None] | None = None
        self._taken = False

    def complete(self) -> bool:
        """True once all of its body was received, and none of it taken."""
        return not (self.more_body or self.waiting_for_100_continue or self.disconnected or self._taken)

    def whole(self) -> bytes | None:
        """The body, once; None where it is not complete."""
        if not self.complete():
            return None
        self._taken = True
        body, self.body = bytes(self.body), bytearray()
        self.flow.resume_reading()  # or nobody would notice that the caller leaves
        return body

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """Call this as soon as the caller is gone, at once if it is; None calls nobody any more."""
        self._tell = tell
        if tell is not None and self.disconnected:
            tell()

    def lost(self) -> None:
        """The connection is gone, or closes without an answer of the app."""
        self.disconnected = True
        self.message_event.set()
        if self._tell is not None:
            self._tell()

    async def run_asgi(self, app: Any) -> None:
        """Answer."""
        self.scope[_INCOMING] = self  # type: ignore[literal-required]
        try:
            await super().run_asgi(app)
        finally:
            hide_incoming(self.scope)  # type: ignore[arg-type]  # the two would keep each other in memory

    async def receive(self) -> Any:
        """The next piece of the body, or that the caller is gone."""
        self._taken = True
        return await super().receive()

    async def send(self, message: Message) -> None:  # type: ignore[override]
        """Write an answer's head, or a piece of its body."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        wanted = "http.response.body" if self.response_started else "http.response.start"
        if message["type"] != wanted or self.response_complete:
            raise RuntimeError(f"the app sent {message['type']!r}; wanted is {wanted!r}, once each answer")
        if self.response_started:
            self._body(message.get("body", b""), message.get("more_body", False))
        else:
            self._start(message["status"], [*self.default_headers, *message.get("headers", ())])

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started, self.waiting_for_100_continue = True, False
        self.chunked_encoding = False
        length = None
        lines = [STATUS_LINE[status]]
        closes = False
        for name, value in headers:
            known = name.lower()
            if known == b"content-length":
                length = int(value)
            elif known == b"connection":
                closes = closes or b"close" in value.lower()
            lines.append(b"%b: %b\r\n" % (name, value))
        self.keep_alive = self.keep_alive and not closes
        if not (self.keep_alive or closes):
            lines.append(b"connection: close\r\n")
        if length is None and self.scope["method"] != "HEAD" and status not in _BODILESS:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or b"\0" in head:
            raise RuntimeError("a header of the answer holds a line break or a zero")
        self._head, self._left = head + b"\r\n", length or 0

    def _body(self, piece: bytes, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            piece, self._left = b"", 0
        elif self.chunked_encoding:
            piece = (b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            self._left -= len(piece)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body of the answer has not the length that its head announced")
        self._write(piece)
        if more:
            return
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _write(self, piece: bytes) -> None:
        head, self._head = self._head, b""
        if head and len(piece) > _JOINED_BYTES:
            self.transport.write(head)
            head = b""
        if both := head + piece:
            self.transport.write(both)
