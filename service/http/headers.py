"""Headers that every answer carries, whatever route gave it. Pure ASGI: it looks at heads only.

While the service shuts down, and where a worker has more callers than its share, an answer closes its connection:
callers leave by agreement, and send nothing into a connection that is about to go.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_POLICY = b"content-security-policy"
_NOTHING = b"default-src 'none'; frame-ancestors 'none'"  # an answer of the API is no page
_CLOSE = (b"connection", b"close")
PLAIN = (*_ALWAYS, (_POLICY, _NOTHING))  # for an answer that is made outside of this layer


class Headers:
    """ASGI middleware. leaving: says, once for each answer, whether its connection ends with it.

    A page may bring a content policy of its own.
    """

    def __init__(self, app: ASGIApp, leaving: Callable[[], bool]) -> None:
        self._app = app
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self.complete([*message.get("headers", ())])
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def complete(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """An answer's headers, with those that every answer carries."""
        headers += _ALWAYS
        names = {name for name, _ in headers}
        if _POLICY not in names:
            headers.append((_POLICY, _NOTHING))
        if _CLOSE[0] not in names and self._leaving():
            headers.append(_CLOSE)
        return headers
