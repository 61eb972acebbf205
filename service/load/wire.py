"""One connection: a request goes out, its answer's status comes back. As thin as Python allows.

httptools finds where an answer ends. Its headers and body are looked at only where the answer is kept for a check.
"""

import asyncio
from typing import Protocol, cast

import httptools


class Owner(Protocol):
    """Who is told what becomes of a connection."""

    def answered(self, wire: "Wire", status: int) -> None: ...

    def lost(self, wire: "Wire") -> None: ...


class Wire(asyncio.Protocol):
    """A connection, and the request that is on its way over it. kept: the whole answer, if it is to be checked."""

    __slots__ = ("_complete", "_owner", "_parser", "_stays", "_transport", "held", "intended", "kept", "sent")

    _transport: asyncio.Transport  # from the moment that it is open

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._complete = self._stays = False
        self.intended = self.sent = 0.0
        self.held = False
        self.kept: bytearray | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not say that it is one

    def send(self, request: bytes) -> None:
        """Put one request on its way; nothing may be on its way already."""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.kept is not None:
            self.kept += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # not HTTP: as good as an answer that never comes
            self.abort()
            return
        if self._complete:
            self._complete = False
            if not self._stays:
                self.abort()
            self._owner.answered(self, self._parser.get_status_code())

    def on_message_complete(self) -> None:
        """The parser's word for the end of an answer; one of the kind "continue" is not the answer yet."""
        self._complete = self._parser.get_status_code() >= 200
        self._stays = self._parser.should_keep_alive()  # only now does the parser know

    @property
    def open(self) -> bool:
        """Can it take another request?"""
        return not self._transport.is_closing()

    def abort(self) -> None:
        """Close at once; the owner is told that the wire is lost."""
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.lost(self)
