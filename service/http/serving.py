"""uvicorn's server, on ports of ours or on connections that somebody else accepts; and how it is set up."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import uvicorn

from service.config import Settings
from service.http.connections import Connection, Crowd, make_room

log = logging.getLogger(__name__)
LAST_SECONDS = 2  # for connections, once every request was answered or given up


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn's own handling would close the port before readiness could fail."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    def stop_listening(self) -> None:
        """Take no new connection; those that are there stay."""
        for server in self.servers:
            server.close()

    async def take(self, connection: socket.socket) -> None:
        """Serve a connection that was accepted elsewhere. Raises OSError if it has ended before it was one."""
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)

    def _protocol(self) -> Connection:
        wiring = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        made: Connection = self.config.http_protocol_class(**wiring)  # type: ignore[assignment]
        return made

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def configured(app: object, settings: Settings, tls: bool, lost: Callable[[], None] | None = None) -> uvicorn.Config:
    """How an app is served. tls: with the settings' certificate, where there is one. lost: as `Crowd` takes it."""
    crowd = Crowd(replace(settings.connection_limits(), connections=_room(settings)), lost)
    certificate: dict[str, Any] = {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key} if tls else {}
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        **certificate,
        loop="uvloop",
        http=crowd.protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",  # the engine is started while the port is open, and stopped after it
        log_config=None,
        access_log=False,  # service/http/exchange_layer.py writes its own, which names routes and no addresses
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=LAST_SECONDS,
    )


def _room(settings: Settings) -> int:
    room = make_room(settings.connections)
    if room < settings.connections:
        log.warning("the limit on open files leaves room for %d connections, not %d", room, settings.connections)
    return room
