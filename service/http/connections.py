"""One connection, bounded: how much head, how long it may take, how many connections there are at once.

Knows HTTP's framing and nothing of routes. What is refused here never reaches the application. A body's size and time
are bounded where bodies are read.
"""

import asyncio
import resource
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httptools
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.config import ConnectionLimits
from service.http.cycle import Cycle
from service.http.linger import Farewell

_PIPELINED = 16  # requests that one connection may queue behind the one that is being answered
_OTHER_FILES = 128  # descriptors for everything but connections
_LEAVING = 64  # connections that are refused and may still read why


class Crowd:
    """Every open connection of one process, and which of them have no request in flight, the longest idle first.

    lost: told of every connection that has ended.
    """

    def __init__(self, limits: ConnectionLimits, lost: Callable[[], None] | None = None) -> None:
        self.limits = limits
        self._lost = lost
        self._all: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        self._leaving: set[Connection] = set()

    def protocol(self, **wiring: Any) -> "Connection":
        """A connection's protocol, as uvicorn asks for it."""
        return Connection(self, **wiring)

    def join(self, connection: "Connection") -> bool:
        """Count a new connection; where it is full, at the cost of the longest idle one. False: no room at all."""
        full = len(self._all) >= self.limits.connections
        if full and not self._idle:
            return False
        if full:
            oldest = next(iter(self._idle))
            self.leave(oldest)
            oldest.transport.abort()
        self._all.add(connection)
        self.rest(connection)
        return True

    def work(self, connection: "Connection") -> None:
        """A request of it is in flight."""
        self._idle.pop(connection, None)

    def rest(self, connection: "Connection") -> None:
        """No request of it is in flight."""
        if connection in self._all:
            self._idle[connection] = None

    def see_off(self, connection: "Connection") -> bool:
        """It is refused and takes up no room any more; False where too many do so to be waited for."""
        self.leave(connection)
        if len(self._leaving) >= _LEAVING:
            return False
        self._leaving.add(connection)
        return True

    def leave(self, connection: "Connection") -> None:
        """It is closed, or about to be."""
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self._leaving.discard(connection)

    def end(self, connection: "Connection") -> None:
        """It has ended."""
        self.leave(connection)
        if self._lost:
            self._lost()


class _TooMuch(Exception):  # noqa: N818 - a signal through the parser
    """The head is beyond a limit."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, under limits."""

    cycle: Cycle

    def __init__(self, crowd: Crowd, **wiring: Any) -> None:
        super().__init__(**wiring)
        self._crowd = crowd
        self._limits = crowd.limits
        self._in_head = True
        self._head_bytes = 0  # of a head that has not ended, as it came
        self._parts = 0  # heads and bodies that have ended
        self._header_bytes = 0  # of its headers, as parsed
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._farewell: Farewell | None = None  # refused, and open for the answer to be read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._crowd.join(self):
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self._head_is_late)
        else:
            self._refuse(503, "too_many_connections", "no connection is free; come back shortly", b"retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.end(self)
        self._stop_timers()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._farewell is not None:
            self._farewell.pass_over(len(data))
            return
        self._unset_keepalive_if_required()
        parts = self._parts
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the offer of another protocol is not taken up; the request is answered as it is
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _TooMuch):
                self._head_is_too_large()
            else:
                self._refuse(400, "bad_request", "this is no HTTP/1.1 request")
            return
        if self._in_head and parts == self._parts:  # else some of it belonged to what came before
            if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
                self._head_timer = self.loop.call_later(self._limits.head_seconds, self._head_is_late)
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self._head_is_too_large()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > self._limits.head_bytes or len(self.headers) >= self._limits.headers:
            raise _TooMuch
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _PIPELINED:
            raise _TooMuch
        self._in_head, self._head_bytes = False, 0
        self._parts += 1
        self._stop_head_timer()
        self._crowd.work(self)
        last, self.cycle = self.cycle, self._cycle()
        if last is None or last.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._parts += 1
        self._stop_head_timer()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is None or not self.cycle.response_complete:
            return  # the next request of the pipeline is in flight
        self._crowd.rest(self)
        # Answered early: the rest is let pass, for a while.
        if self.cycle.more_body and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self._head_is_late)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # the answer is not being read: a polite close would wait for that
        super().timeout_keep_alive_handler()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._head_bytes:
            seconds = self._limits.head_seconds
            self._refuse(408, "head_too_slow", f"the request's head did not arrive within {seconds:g} s")
        else:
            self.transport.close()

    def _head_is_too_large(self) -> None:
        limits = self._limits
        self._refuse(
            431,
            "head_too_large",
            f"the request's head is larger than {limits.head_bytes:,} bytes or {limits.headers} headers",
        )

    def _refuse(self, status: int, code: str, message: str, header: bytes = b"") -> None:
        """Answer without the application, and close."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_started:
            cycle.lost()  # whatever works on the request may stop, and nothing follows this answer
        if cycle is None or cycle.response_complete or (cycle.disconnected and not self.pipeline):
            body = to_json({"error": {"code": code, "message": message}})
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + header + b"\r\n" + body)
            self._leave()
        else:
            self.transport.close()

    def _leave(self) -> None:
        """Close once the caller has, or is silent: closed over unread bytes, it would be reset, and the answer lost."""
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self._crowd.see_off(self):
            self.flow.resume_reading()
            self._farewell = Farewell(self.transport, self.loop)
        else:
            self.transport.close()

    def _cycle(self) -> Cycle:
        """The request whose head has just ended, and its answer to come."""
        version = self.parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope = self.scope
        scope["http_version"], scope["method"] = version, self.parser.get_method().decode("ascii")
        scope["path"], scope["raw_path"] = unquote(path) if "%" in path else path, url.path
        scope["query_string"] = url.query or b""
        return Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def _stop_timers(self) -> None:
        self._stop_head_timer()
        if self._farewell is not None:
            self._farewell.end()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def make_room(connections: int) -> int:
    """Let the process open as many files as that many connections want; return how many of them it may hold."""
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, max(1, soft - _OTHER_FILES))
