"""An answer that comes before the request was read: the rest is let pass, for a while, before the connection closes.

A connection that is closed over unread bytes is reset, and a reset takes the answer with it out of the caller's hands:
callers who send everything before they read, which most do, would see a broken pipe and never the 413 or the 401.
`Linger` does so for the application, in pure ASGI, `Farewell` for what a connection refuses by itself. Knows nothing of
what is refused.
"""

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Patience:
    """How much of a refused body is read and thrown away."""

    bytes: int = 128 * 2**20
    seconds: float = 5.0  # in all
    silence_seconds: float = 1.0  # between two pieces


_PATIENCE = Patience()


class Farewell:
    """The last moments of a connection that has refused its caller: closed by the caller, or after a while."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, patience: Patience = _PATIENCE
    ) -> None:
        self._transport, self._loop, self._patience = transport, loop, patience
        self._end = loop.time() + patience.seconds
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        if transport.can_write_eof():
            transport.write_eof()
        self.pass_over(0)

    def pass_over(self, count: int) -> None:
        """So many bytes came, and are not looked at."""
        self.end()
        self._bytes += count
        left = min(self._end - self._loop.time(), self._patience.silence_seconds)
        if left <= 0 or self._bytes > self._patience.bytes:
            self._transport.close()
        else:
            self._timer = self._loop.call_later(left, self._transport.close)

    def end(self) -> None:
        """Wait no longer for silence."""
        if self._timer is not None:
            self._timer.cancel()


class Linger:
    """ASGI middleware, outside of everything that may answer early."""

    def __init__(self, app: ASGIApp, patience: Patience = _PATIENCE) -> None:
        self._app = app
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _brings_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive)
        closing, held_back = _closes(scope["headers"]), False

        async def send_and_hold(message: Message) -> None:
            nonlocal closing, held_back
            if message["type"] == "http.response.start":
                closing = closing or _closes(message.get("headers", ()))
            elif closing and not message.get("more_body", False) and not body.ended:
                message, held_back = {**message, "more_body": True}, True  # its end is what closes the connection
            await send(message)

        await self._app(scope, body.receive, send_and_hold)
        if held_back:
            await body.discard(self._patience)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Body:
    """A request's body, and whether its end was seen."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = self.ended or not message.get("more_body", False)  # nothing comes after a disconnect either
        return message

    async def discard(self, patience: Patience) -> None:
        """Read what is left of it, and no more than that."""
        left = patience.bytes
        try:
            async with asyncio.timeout(patience.seconds):
                while not self.ended and left > 0:
                    async with asyncio.timeout(patience.silence_seconds):
                        left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            self.ended = True


def _brings_body(scope: Scope) -> bool:
    return any(name in {b"content-length", b"transfer-encoding"} and value != b"0" for name, value in scope["headers"])


def _closes(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"connection" and b"close" in value.lower() for name, value in headers)
