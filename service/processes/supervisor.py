"""`harmonic serve --workers N`: the process that owns the port, holds no model and serves no request.

Its signals mean what they mean where one process serves: SIGTERM is a lame duck, then everything in flight is answered;
SIGINT goes without the first; a second signal ends everything at once.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.config import Settings, excess, share_of
from service.errors import StartError
from service.handover import Facts
from service.http import LAST_SECONDS, check_tls, listen, port_of, remark
from service.mirroring import Mirroring
from service.processes.commands import Commands
from service.processes.crew import Crew
from service.processes.handing import ADMIN, MAIN, Reception
from service.processes.hired import Worker
from service.processes.seed import plant
from service.processes.starting import Starter
from service.runtime import usable_cpus
from service.telemetry import Family, logs, read_families

log = logging.getLogger(__name__)
_MOMENT = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_Told = asyncio.Future[int]


class CrewCollector(Collector):
    """What the supervisor counts of its workers. replaced: how many died and were replaced."""

    def __init__(self, crew: Crew | None = None) -> None:
        self._crew = crew

    def collect(self) -> list[Metric]:
        """The four families."""
        workers = GaugeMetricFamily("harmonic_workers", "Processes that serve, where several do.")
        owning = GaugeMetricFamily("harmonic_owners", "Processes that own the models of others, and have loaded them.")
        replaced = CounterMetricFamily(
            "harmonic_worker_restarts", "Workers that ended without being told, and replaced."
        )
        owners = CounterMetricFamily(
            "harmonic_owner_restarts", "Owners of the models that ended without being told, and were replaced."
        )
        workers.add_metric((), len(self._crew.members()) if self._crew else 0)
        owning.add_metric((), len(self._crew.owners()) if self._crew else 0)
        replaced.add_metric((), self._crew.replaced if self._crew else 0)
        owners.add_metric((), self._crew.owners_replaced if self._crew else 0)
        return [workers, owning, replaced, owners]


def supervise(settings: Settings) -> None:
    """Serve in as many processes as the settings say. Raises StartError if the service must not start."""
    logs.configure(settings.log_level, settings.log_format)
    if not hasattr(socket, "send_fds"):
        raise StartError("several workers want a system that hands sockets to other processes; take --workers 1.")
    if settings.has_owner() and not hasattr(os, "memfd_create"):
        raise StartError("an owner of the models wants memory as Linux shares it; take --owner never.")
    starter = Starter(plant())  # before there is a port, a thread or a loop that a copy would have too
    try:
        asyncio.run(_supervise(settings, starter))
    finally:
        starter.end()


async def _supervise(settings: Settings, starter: Starter) -> None:
    """From the port to the end."""
    check_tls(settings)
    remark(settings)
    if more := excess(settings, settings.processes()):
        log.warning("%s", more)
    listeners = {MAIN: listen(settings.host, settings.port)}
    if settings.admin_port is not None:
        listeners[ADMIN] = listen(settings.admin_host, settings.admin_port, "admin_port")
    supervisor = _Supervisor(settings, listeners, starter)
    try:
        await supervisor.serve()
    finally:
        supervisor.end()


class _Supervisor:
    """What the supervisor has, from the open port on."""

    def __init__(self, settings: Settings, listeners: dict[bytes, list[socket.socket]], starter: Starter) -> None:
        self._settings = settings
        self._number = settings.processes()
        self._share = share_of(settings, self._number)
        self._listeners = listeners
        self._devices = settings.owned_devices()
        self._crew = Crew(
            self._number,
            starter,
            self._answer,
            self._resume,
            self._depart,
            len(self._devices),
            settings.owner_death == "end",
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._reception = Reception(listeners, self._crew.hands)
        owners = self._crew.owners if self._devices else None
        self._commands = Commands(self._share, self._counting, self._own, owners, len(self._devices) == 1)
        self._registry = CollectorRegistry()
        self._registry.register(CrewCollector(self._crew))
        ProcessCollector(registry=self._registry)
        self._mirroring = Mirroring(settings, self._serving) if settings.store else None
        if self._mirroring:
            self._registry.register(self._mirroring)

    async def serve(self) -> None:
        """Have the workers serve until a signal, or until they cannot. Raises StartError if they cannot."""
        began = time.monotonic()
        told = self._listen_to_signals()
        if self._mirroring and not await self._mirrored(self._mirroring, told):
            log.info("told to end before the store had answered")
            return
        self._crew.start()
        if await self._until(self._crew.listening, told):
            self._tell_ports()
            if await self._until(self._crew.joined, told):
                self._tell_versions(time.monotonic() - began)
                await self._run(told)
                return
        log.info("told to end while models were being loaded")

    async def _mirrored(self, mirroring: Mirroring, told: _Told) -> bool:
        """Have what is to be served in the folder; False if a signal came before. Raises what `begin` raises."""
        beginning = asyncio.ensure_future(mirroring.begin())
        waited: set[asyncio.Future[Any]] = {beginning, told}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            beginning.result()
            return True
        mirroring.stop()
        beginning.cancel()
        return False

    def _serving(self) -> set[tuple[str, int]]:
        """The versions in service, by their folders."""
        return {(name, number) for worker in self._counting() for name, number in worker.facts.get("serving", ())}

    def end(self) -> None:
        """Leave nothing behind."""
        if self._mirroring:
            self._mirroring.stop()
        self._commands.end()
        self._reception.close()
        self._crew.kill()

    async def _until(self, event: asyncio.Event, told: _Told) -> bool:
        """True once it is so, False if a signal came before. Raises StartError if the service cannot be."""
        so = asyncio.ensure_future(event.wait())
        waited: set[asyncio.Future[Any]] = {so, told, self._crew.broken}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        so.cancel()
        if self._crew.broken.done():
            raise self._crew.broken.result()
        return not told.done()

    async def _run(self, told: _Told) -> None:
        self._commands.begin(sorted({name for worker in self._counting() for name in worker.facts["models"]}))
        waited: set[asyncio.Future[Any]] = {told, self._crew.broken}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            await self._shut_down(self._settings.drain_seconds if told.result() == signal.SIGTERM else 0)
            return
        error = self._crew.broken.result()
        log.error("the service ends: %s", error)
        await self._shut_down(self._settings.drain_seconds)
        raise error

    async def _shut_down(self, more_s: float) -> None:
        grace_s = self._settings.grace_seconds
        self._commands.end()
        await self._crew.leave(_MOMENT)
        log.info("shutting down: not ready from now on, and for %g s more requests are served", more_s)
        await asyncio.sleep(more_s)
        self._reception.close()
        await self._crew.close_door(_MOMENT)
        log.info("requests are refused now; those in flight have %g s", grace_s)
        await self._crew.end(grace_s + 3 * LAST_SECONDS, grace_s=grace_s)

    async def _answer(self, worker: Worker, what: str, facts: Facts) -> Facts:
        if what == "begin":
            return {
                "settings": self._orders(worker),
                "number": worker.number,
                "owner": worker.owner,
                "processes": len(self._devices) if worker.owner else self._number,
            }
        if what == "listening":
            self._crew.listens(worker)
        elif what == "failed":
            worker.reason = facts["reason"]
        elif what == "state":
            if facts["fatal"]:
                self._bury(facts["fatal"])
            self._crew.hear(worker, facts)
        elif what == "started":
            if worker.owner or not self._devices:
                await self._commands.catch_up(worker, facts["models"])
            self._crew.join(worker, facts)
            return {"ready": self._crew.ready()}
        elif what == "lost":
            await self._crew.reintroduce(worker, facts["owner"])
        else:
            return await self._commands.answer(worker, what, facts)
        return {}

    def _bury(self, fatal: Sequence[Sequence[Any]]) -> None:
        task = asyncio.ensure_future(self._commands.bury(fatal))
        self._tasks.add(task)
        task.add_done_callback(self._buried)

    def _buried(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a version could not be taken out of its split", exc_info=error)

    def _resume(self) -> None:
        self._reception.resume()

    def _depart(self, number: int) -> None:
        self._commands.departed(number)

    def _counting(self) -> list[Worker]:
        """Every process that counts something."""
        return [*self._crew.members(), *self._crew.owners()]

    def _orders(self, worker: Worker) -> dict[str, Any]:
        """The settings of a process that starts now. Owners have devices of their own, and share threads and queues."""
        update: dict[str, Any] = {"load_models": self._commands.first_models(), "store": None}
        if worker.owner:
            threads = self._settings.threads or max(1, usable_cpus() // len(self._devices))
            update |= {"device": self._devices[worker.owner - 1], "threads": threads, "keys": None, "keys_file": None}
            return self._settings.model_copy(update=update).model_dump(mode="json")
        return self._share.model_copy(update=update).model_dump(mode="json")

    def _own(self) -> Sequence[Family]:
        return read_families(self._registry)

    def _listen_to_signals(self) -> _Told:
        loop = asyncio.get_running_loop()
        told: _Told = loop.create_future()

        def stop(number: int) -> None:
            if told.done():
                log.warning("a second signal: ending at once")
                self._end_now()
            told.set_result(number)

        for number in _SIGNALS:
            loop.add_signal_handler(number, stop, number)
        return told

    def _end_now(self) -> NoReturn:
        for worker in self._crew.workers.values():
            worker.kill()
        logging.shutdown()
        os._exit(0)

    def _tell_ports(self) -> None:
        settings = self._settings
        log.info("running on %s with %d workers", settings.url(port=port_of(self._listeners[MAIN])), self._number)
        if ADMIN in self._listeners:
            place = settings.admin_host, port_of(self._listeners[ADMIN])
            log.info("probes and metrics have a port of their own: %s port %d", *place)

    def _tell_versions(self, seconds: float) -> None:
        facts, owners = next(iter(self._crew.members())).facts, len(self._devices)
        log.info(
            "%d version%s ready, %d left out, on %s (asked for %s, %d threads each) by %d %s, in %.1f s",
            facts["versions"],
            "" if facts["versions"] == 1 else "s",
            facts["broken"],
            ", ".join(facts["providers"]) or "nothing yet",
            self._settings.device,
            self._settings.threads or usable_cpus() // owners if owners else self._share.threads,
            self._number,
            ("front ends of one owner" if owners == 1 else f"front ends of {owners} owners") if owners else "workers",
            seconds,
        )
