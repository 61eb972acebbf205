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
import warnings
from collections.abc import Iterator

import uvicorn
import uvloop
from PIL import Image

from service import logs
from service.app import build
from service.engine import Engine
from service.settings import Settings

log = logging.getLogger(__name__)
_LAST_SECONDS = 2  # for connections, once every request was answered or given up
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn's own handling would close the port before readiness could fail."""

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
    app, engine = build(settings)
    server = _Server(_config(app, settings))
    stopping = _listen_to_signals(server)
    await engine.start()
    if stopping.is_set():
        return
    gc.collect()
    gc.freeze()  # models and modules live as long as the process: no collection need look at them again
    shutdown = asyncio.ensure_future(_shut_down(stopping, server, engine, settings))
    await server.serve()
    shutdown.cancel()
    await engine.stop()


def _config(app: object, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
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
