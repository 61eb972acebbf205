"""The process: one uvicorn server, and what its signals mean.

The port is bound first, then the models are loaded: `/livez` answers from the beginning, a taken port costs nothing.
SIGTERM: readiness fails and every answer closes its connection, while requests are served for `drain_seconds` more, so
that whoever balances load has time to look elsewhere; then the port closes, those in flight are answered, and the
process ends with status 0. SIGINT, from a terminal, goes without that time. A signal while models load ends the start,
and a second signal the process, at once.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
from typing import Any, NoReturn

import uvloop

from service.batching import calls_linger
from service.config import Settings, injected_here
from service.decoding import quiet_pillow
from service.engine import Engine
from service.http.app import Service, assemble
from service.http.listening import check_tls, listen, port_of
from service.http.serving import LAST_SECONDS, Server, configured
from service.http.threads import Threads, share_the_interpreter
from service.telemetry import logs

log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_Told = asyncio.Future[int | None]  # the first signal; None where the server ended by itself


def run(settings: Settings) -> None:
    """Serve until a signal ends it. Raises StartError, or what the repository raises, if the service must not start."""
    logs.configure(settings.log_level, settings.log_format)
    quiet_pillow()
    share_the_interpreter()
    threads = Threads()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_default_executor(threads)
        runner.run(_serve(settings))
        if threads.busy() or calls_linger(LAST_SECONDS):
            end_now()  # a model is still being loaded or computes


def end_now() -> NoReturn:
    """End the process though threads work, in native code that nothing can stop."""
    logging.shutdown()
    os._exit(0)


async def _serve(settings: Settings) -> None:
    check_tls(settings)
    remark(settings)
    sockets = listen(settings.host, settings.port)
    operators = [] if settings.admin_port is None else listen(settings.admin_host, settings.admin_port, "admin_port")
    service = assemble(settings)
    server = Server(configured(service.app, settings, tls=True))
    told = _listen_to_signals()
    serving = asyncio.ensure_future(_serve_ports(server, sockets, service, operators, settings))
    serving.add_done_callback(lambda _: None if told.done() else told.set_result(None))
    try:
        await server.listening.wait()
        log.info("running on %s", settings.url(port=port_of(sockets)))
        if await _started(service.engine, told):
            gc.collect()
            gc.freeze()  # models and modules live as long as the process: no collection need look at them again
            await _shut_down(told, server, service.engine, settings)
    finally:
        server.should_exit = True
        await serving
        await service.close()


def remark(settings: Settings) -> None:
    """Say what an operator should know of the settings."""
    if ignored := injected_here():
        log.info("not settings, but what Kubernetes tells of a Service of that name: %s", ", ".join(ignored))
    if not settings.private() and not settings.keyring():
        log.warning("listening on %s without API keys: whoever reaches it may ask (docs/security.md)", settings.host)


async def _serve_ports(
    main: Server, sockets: list[socket.socket], service: Service, operators: list[socket.socket], settings: Settings
) -> None:
    """Serve the main port, and the operators' one for as long: a start and a shutdown can be watched there."""
    if service.admin is None:
        await main.serve(sockets)
        return
    admin = Server(configured(service.admin, settings, tls=False))
    watching = asyncio.ensure_future(admin.serve(operators))
    log.info("probes and metrics have a port of their own: %s port %d", settings.admin_host, port_of(operators))
    try:
        await main.serve(sockets)
    finally:
        admin.should_exit = True
        await watching


async def _started(engine: Engine, told: _Told) -> bool:
    """Load the models; False if a signal came before that was done. Raises what `Engine.start` raises."""
    starting = asyncio.ensure_future(engine.start())
    either: set[asyncio.Future[Any]] = {starting, told}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    log.info("told to end while models were being loaded")
    return False


def _listen_to_signals() -> _Told:
    loop = asyncio.get_running_loop()
    told: _Told = loop.create_future()

    def stop(number: int) -> None:
        if told.done():
            log.warning("a second signal: ending at once")
            end_now()
        told.set_result(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    return told


async def _shut_down(told: _Told, server: Server, engine: Engine, settings: Settings) -> None:
    more = settings.drain_seconds if await told == signal.SIGTERM else 0
    engine.leave()
    log.info("shutting down: not ready from now on, and for %g s more requests are served", more)
    await asyncio.sleep(more)
    engine.close_door()
    server.stop_listening()
    log.info("requests are refused now; those in flight have %g s", settings.grace_seconds)
    try:
        async with asyncio.timeout(settings.grace_seconds):
            await engine.drain()
    except TimeoutError:
        log.warning("requests are still in flight after %g s; they get 503", settings.grace_seconds)
        await engine.stop()
