"""The process: one uvicorn server, and what its signals mean.

SIGTERM or SIGINT: readiness fails and new requests get 503 at once, those in flight are answered, then the process ends
with status 0.
A second signal ends it at once.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import uvicorn
import uvloop
from PIL import Image

from service import logs
from service.app import assemble
from service.connections import Crowd, make_room
from service.engine import Engine
from service.errors import StartError
from service.settings import Settings

log = logging.getLogger(__name__)
_LAST_SECONDS = 2  # for connections, once every request was answered or given up
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn's own handling would close the port before readiness could fail."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.gone = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self.gone.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings) -> None:
    """Serve until a signal ends it. Raises StartError, or what the repository raises, if the service must not start."""
    logs.configure(settings.log_level, settings.log_format)
    _quiet_pillow()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


def _quiet_pillow() -> None:
    """Pillow remarks on damaged metadata: in a server that fills the log with what callers send, and memory with it."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # refused, not remarked on


async def _serve(settings: Settings) -> None:
    _check_tls(settings)
    if not settings.private() and not settings.keyring():
        log.warning("listening on %s without API keys: whoever reaches it may ask (docs/security.md)", settings.host)
    service = assemble(settings)
    engine = service.engine
    tls = {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}
    server = _Server(_config(service.app, settings, host=settings.host, port=settings.port, **tls))
    stopping = _listen_to_signals(server)
    await engine.start()
    if stopping.is_set():
        return
    gc.collect()
    gc.freeze()  # models and modules live as long as the process: no collection need look at them again
    shutdown = asyncio.ensure_future(_shut_down(stopping, server, engine, settings))
    admin = asyncio.ensure_future(_serve_admin(service.admin, server, settings))
    await server.serve()
    shutdown.cancel()
    await admin
    await engine.stop()


async def _serve_admin(app: object | None, main: _Server, settings: Settings) -> None:
    """Serve the operators' port from when the main one listens until that has gone: a shutdown can be watched."""
    if app is None:
        return
    server = _Server(_config(app, settings, host=settings.admin_host, port=settings.admin_port))
    await main.listening.wait()
    log.info("probes and metrics have a port of their own:")
    serving = asyncio.ensure_future(server.serve())
    await main.gone.wait()
    server.should_exit = True
    await serving


def _check_tls(settings: Settings) -> None:
    if settings.tls_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except OSError as error:  # ssl.SSLError is one too
        raise StartError(
            f"tls_cert {settings.tls_cert} and tls_key {settings.tls_key} cannot be used: {error}. "
            "They want a certificate in PEM and its private key, without a passphrase."
        ) from error


def _room(settings: Settings) -> int:
    room = make_room(settings.connections)
    if room < settings.connections:
        log.warning("the limit on open files leaves room for %d connections, not %d", room, settings.connections)
    return room


def _config(app: object, settings: Settings, **place: Any) -> uvicorn.Config:
    crowd = Crowd(replace(settings.connection_limits(), connections=_room(settings)))
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        **place,
        loop="uvloop",
        http=crowd.protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # service/observe.py writes its own, which names routes and no addresses
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )


def _listen_to_signals(server: uvicorn.Server) -> asyncio.Event:
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            server.force_exit = server.should_exit = True
        stopping.set()

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopping


async def _shut_down(stopping: asyncio.Event, server: uvicorn.Server, engine: Engine, settings: Settings) -> None:
    await stopping.wait()
    log.info("shutting down: new requests get 503, those in flight have %g s", settings.grace_seconds)
    engine.close_door()
    try:
        async with asyncio.timeout(settings.grace_seconds):
            await asyncio.gather(engine.drain(), asyncio.sleep(settings.drain_seconds))
    except TimeoutError:
        log.warning("requests are still in flight after %g s; they get 503", settings.grace_seconds)
        await engine.stop()
    server.should_exit = True
