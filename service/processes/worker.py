"""A worker's process: a whole engine behind connections that the supervisor accepts. `python -m` runs it.

It ends when the supervisor says so, or has ended itself. Signals are the supervisor's: those that a terminal or a
container sends to every process are not heeded here.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys

import uvloop

from harmonic.errors import HarmonicError
from service.batching import calls_linger
from service.config import Holder, Settings
from service.decoding import quiet_pillow
from service.engine import LocalEngine
from service.errors import NotReady
from service.handover import Channel, Facts, Gone
from service.http import LAST_SECONDS, Server, Service, Threads, assemble, configured, end_now, share_the_interpreter
from service.processes.handing import ADMIN, MAIN, Taker
from service.processes.orders import keep_telling, obey
from service.processes.shared import SharedEngine
from service.telemetry import Metrics, logs

log = logging.getLogger(__name__)
_MOMENT = 10.0
_ORPHAN_SECONDS = 5.0  # nobody can come any more, and whoever starts the service again wants the memory
# What every worker would say alike: the first says it for all, or the supervisor does.
_SAID_BY_SUPERVISOR = ("uvicorn.error", "service.engine.local")
_SAID_BY_FIRST = ("service.engine.loading", "service.engine.control", "service.http.serving")


class _Worker:
    """What a worker has, from its orders to its end."""

    def __init__(self) -> None:
        self.link: Channel
        self.engine: SharedEngine | None = None
        self.grace_s: float | None = None
        self.told_to_end = asyncio.Event()

    async def answer(self, what: str, facts: Facts) -> Facts:
        """What the supervisor asks and tells."""
        if what == "end":
            self.grace_s = facts["grace_s"]
            self.told_to_end.set()
            return {}
        if self.engine is None:
            raise NotReady("this worker has not begun")
        return await obey(self.engine, self.link, what, facts)

    async def take(self, holder: Holder) -> float:
        """Count a request of a key's limit, which holds for all workers together."""
        try:
            facts = await self.link.ask("take", _MOMENT, key=holder.key.name)
        except (Gone, TimeoutError):
            raise NotReady("the limits of keys cannot be looked up now", retry_after_s=1) from None
        return float(facts["wait_s"])


def main() -> None:
    """Serve until told to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    talk, hand = (socket.socket(fileno=int(word)) for word in sys.argv[1:3])
    share_the_interpreter()
    threads = Threads()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_default_executor(threads)
        status = runner.run(_work(talk, hand))
        if threads.busy() or calls_linger(LAST_SECONDS):
            end_now()  # a model is still being loaded or computes
    sys.exit(status)


async def _work(talk: socket.socket, hand: socket.socket) -> int:
    worker = _Worker()
    worker.link = await Channel.over(talk, worker.answer)
    try:
        orders = await worker.link.ask("begin", _MOMENT)
    except (Gone, TimeoutError):  # the supervisor ended before this worker had begun
        return 1
    settings, number = Settings(**orders["settings"]), int(orders["number"])
    logs.configure(settings.log_level, settings.log_format, number)
    _be_quiet(settings, number)
    quiet_pillow()

    made: list[SharedEngine] = []

    def make(its: Settings, metrics: Metrics) -> SharedEngine:
        local = LocalEngine(its, metrics, int(orders["processes"]))
        made.append(SharedEngine(number, local, metrics, worker.link))
        return made[0]

    service = assemble(settings, make, worker.take)
    worker.engine = made[0]
    return await _serve(worker, made[0], service, settings, hand)


class _Ports:
    """The servers of a worker, on connections that the supervisor accepts."""

    def __init__(self, service: Service, settings: Settings, hand: socket.socket) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._taker: Taker | None = None
        self._hand = hand
        self._servers = {MAIN: Server(configured(service.app, settings, tls=True, lost=self._lost))}
        if service.admin is not None:
            self._servers[ADMIN] = Server(configured(service.admin, settings, tls=False, lost=self._lost))

    async def open(self) -> None:
        """Take connections."""
        self._serving = [asyncio.ensure_future(server.serve([])) for server in self._servers.values()]
        await asyncio.gather(*(server.listening.wait() for server in self._servers.values()))
        self._taker = Taker(self._hand, self._begin_to_take)

    async def close(self) -> None:
        """End every connection, politely where it can be."""
        for server in self._servers.values():
            server.should_exit = True
        await asyncio.gather(*self._serving)
        if self._taker:
            self._taker.close()

    def _begin_to_take(self, port: bytes, connection: socket.socket) -> None:
        task = asyncio.ensure_future(self._take(port, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, port: bytes, connection: socket.socket) -> None:
        try:
            await self._servers[port].take(connection)
        except OSError:  # it ended, or was no TLS, before it was a connection
            self._lost()

    def _lost(self) -> None:
        if self._taker:
            self._taker.ended()


async def _serve(
    worker: _Worker, engine: SharedEngine, service: Service, settings: Settings, hand: socket.socket
) -> int:
    ports = _Ports(service, settings, hand)
    await ports.open()
    worker.link.tell("listening")
    try:
        if not await _started(worker, engine):
            return 2
        await _until_told(worker, engine, settings)
        return 0
    finally:
        await ports.close()
        await service.close()
        await worker.link.close()


async def _started(worker: _Worker, engine: SharedEngine) -> bool:
    """Load the models; False, once the supervisor knows why, if that cannot be, or nobody wants it any more."""
    starting, alone = asyncio.ensure_future(engine.start()), asyncio.ensure_future(worker.link.closed.wait())
    told = asyncio.ensure_future(worker.told_to_end.wait())
    await asyncio.wait((starting, alone, told), return_when=asyncio.FIRST_COMPLETED)
    alone.cancel()
    told.cancel()
    if not starting.done():
        starting.cancel()
        return False
    try:
        starting.result()
    except Gone:
        return False
    except HarmonicError as error:
        worker.link.tell("failed", reason=str(error))
        return False
    gc.collect()
    gc.freeze()  # models and modules live as long as the process: no collection need look at them again
    return True


async def _until_told(worker: _Worker, engine: SharedEngine, settings: Settings) -> None:
    """Serve; then answer those that are within."""
    telling = asyncio.ensure_future(keep_telling(engine, worker.link))
    ends = [asyncio.ensure_future(one.wait()) for one in (worker.told_to_end, worker.link.closed)]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in (telling, *ends):
        task.cancel()
    grace_s = worker.grace_s
    if grace_s is None:
        grace_s = min(_ORPHAN_SECONDS, settings.grace_seconds)
        log.error("the supervisor has ended; this worker answers what it has for %g s, and ends", grace_s)
    try:
        async with asyncio.timeout(grace_s):
            await engine.drain()
    except TimeoutError:
        log.warning("requests are still in flight after %g s; they get 503", grace_s)
        await engine.stop()


def _be_quiet(settings: Settings, number: int) -> None:
    if settings.log_level == "debug":
        return
    for name in _SAID_BY_SUPERVISOR + (_SAID_BY_FIRST if number > 1 else ()):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


if __name__ == "__main__":
    main()
