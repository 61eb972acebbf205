"""A worker's process: an engine behind connections that the supervisor accepts. `python -m` runs it.

The engine is a whole one, or, where one process owns the models, a front end of that.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

from service.config import Holder, Settings
from service.engine import LocalEngine
from service.errors import NotReady
from service.handover import Gone, RemoteEngine, Way
from service.http import Server, Service, assemble, configured
from service.processes.employed import MOMENT, ORPHAN_SECONDS, Employee, employ
from service.processes.handing import ADMIN, MAIN, Taker
from service.processes.orders import keep_telling
from service.processes.shared import SharedEngine
from service.runtime import keep_to_own_cpu
from service.telemetry import Metrics

log = logging.getLogger(__name__)


class _Worker(Employee):
    """A process that takes requests."""

    async def take(self, holder: Holder) -> float:
        """Count a request of a key's limit, which holds for all workers together."""
        try:
            facts = await self.link.ask("take", MOMENT, key=holder.key.name)
        except (Gone, TimeoutError):
            raise NotReady("the limits of keys cannot be looked up now", retry_after_s=1) from None
        return float(facts["wait_s"])


async def work(talk: socket.socket, hand: socket.socket) -> int:
    """Be a worker, from its orders to its end; the status of the process."""
    worker = _Worker()
    if (begun := await worker.begin(talk)) is None:
        return 1
    settings, orders = begun
    if settings.pins_workers():  # its threads hand the interpreter to each other without waking another CPU
        cpu = keep_to_own_cpu(int(orders["number"]), int(orders["processes"]))
        log.debug("it keeps to CPU %s", cpu)
    made: list[SharedEngine] = []

    def make(its: Settings, metrics: Metrics) -> SharedEngine:
        owners, processes = len(its.owned_devices()), int(orders["processes"])
        local = RemoteEngine(its, metrics, processes, owners) if owners else LocalEngine(its, metrics, processes)
        if isinstance(local, RemoteEngine):
            local.when_lost(lambda owner: worker.link.tell("lost", owner=owner))
        made.append(SharedEngine(int(orders["number"]), local, metrics, worker.link, apart=not owners))
        return made[0]

    service = assemble(settings, make, worker.take)
    worker.engine = made[0]
    return await _serve(worker, made[0], service, settings, hand)


class _Ports:
    """The servers of a worker, on connections that the supervisor accepts."""

    def __init__(
        self, service: Service, settings: Settings, hand: socket.socket, meet: Callable[[Way | None, int], None]
    ) -> None:
        self._meet = meet
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
        self._taker = Taker(self._hand, self._begin_to_take, self._meet)

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
    tasks: set[asyncio.Task[None]] = set()

    def meet(way: Way | None, owner: int) -> None:
        """Take the way to an owner of the models; without it this process is of little use."""
        if way is None or not isinstance(engine.local, RemoteEngine):
            log.error("no way to an owner of the models could be opened: this process ends, and is replaced")
            worker.told_to_end.set()
            return
        task = asyncio.ensure_future(engine.local.connect(*way, owner))
        tasks.add(task)
        task.add_done_callback(met)

    def met(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("an owner of the models cannot be met: this process ends, and is replaced", exc_info=error)
            worker.told_to_end.set()

    ports = _Ports(service, settings, hand, meet)
    await ports.open()
    worker.link.tell("listening")
    try:
        if not await worker.started(engine):
            return 2
        await _until_told(worker, engine, settings)
        return 0
    finally:
        await ports.close()
        await service.close()
        await worker.link.close()


async def _until_told(worker: _Worker, engine: SharedEngine, settings: Settings) -> None:
    """Serve; then answer those that are within."""
    telling = asyncio.ensure_future(keep_telling(engine, worker.link))
    await worker.until_told()
    telling.cancel()
    grace_s = worker.grace_s
    if grace_s is None:
        grace_s = min(ORPHAN_SECONDS, settings.grace_seconds)
        log.error("this worker answers what it has for %g s, and ends", grace_s)
    try:
        async with asyncio.timeout(grace_s):
            await engine.drain()
    except TimeoutError:
        log.warning("requests are still in flight after %g s; they get 503", grace_s)
        await engine.stop()


if __name__ == "__main__":
    employ(work, *map(int, sys.argv[1:3]))
