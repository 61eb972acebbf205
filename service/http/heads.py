"""HEAD wherever there is a GET: the same answer without its body, as HTTP wants it. Pure ASGI, innermost."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """ASGI middleware: the routes behind it need to know GET alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send(message if message["type"] == "http.response.start" else {**message, "body": b""})

        asked = {**scope, "method": "GET"}  # a copy: the server must still know that no body follows
        await self._app(asked, receive, send_head)
        if "route" in asked:
            scope["route"] = asked["route"]  # what the access log and the span call the request
