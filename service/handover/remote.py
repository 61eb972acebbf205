"""The engine of a front end: requests are decoded here, and answered by the processes that own the models.

What it offers is what its owners offer. While there is none, nobody is let in, and everybody is told to come again.
"""

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from service.batching import BatchStatistics
from service.config import Settings
from service.decoding import Pool, Preparation
from service.engine import (
    Catalog,
    Entry,
    State,
    StateCollector,
    Unloaded,
    VersionFacts,
    chosen,
    documented,
    read_document,
)
from service.errors import Draining, NotLoaded, NotReady
from service.handover.carriage import Carriage
from service.handover.channel import Channel
from service.handover.depot import Depot, Key
from service.handover.offers import Offers, read_offers
from service.handover.refusals import Facts, Gone
from service.handover.remote_visit import RemoteVisit
from service.handover.stand import Ledger
from service.handover.stands import Stands
from service.handover.summons import have_loaded
from service.handover.whole import AWAY, away, whole
from service.runtime import usable_cpus
from service.telemetry import Figures, Metrics

log = logging.getLogger(__name__)
_MOMENT = 5.0


class RemoteEngine:
    """The models of other processes. ends: how many front ends they have. owners: how many of them there are to be."""

    def __init__(self, settings: Settings, metrics: Metrics, ends: int = 1, owners: int = 1) -> None:
        self._settings = settings
        self._metrics = metrics
        self._ends = ends
        self._owners = owners
        limits = settings.limits()
        pool = Pool(settings.decode_threads or usable_cpus(), "decode", limits.decoded_bytes)
        self._preparation = Preparation(pool, limits)
        self._numbers = itertools.count(1)
        self._catalog = Catalog((), (), settings.default_model)
        self._depots: dict[int, Depot] = {}  # the owners that are there, by their numbers
        self._versions: dict[Key, Stands] = {}
        self._ledgers: dict[Key, Ledger] = {}
        self._told: Callable[[int], None] = lambda _: None
        self._visits = 0
        self._state = "starting"
        self._leaving = False
        self._offered = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        metrics.watch(StateCollector(self._counts))

    async def connect(self, bell: socket.socket, letters: socket.socket, owner: int = 1) -> None:
        """Meet an owner, or the one that has taken its place. The sockets are the engine's from now on."""
        depot = Depot(owner)
        depot.carriage = Carriage(bell, self._settings.slot_bytes, self._numbers, partial(self._lose, depot))
        depot.letters = await Channel.over(letters, partial(self._answer, depot))
        if (before := self._depots.get(owner)) is not None:
            before.carriage.close(NotReady(AWAY, retry_after_s=1))
            self._lose(before)
        self._depots[owner] = depot
        if depot.carriage.closed:  # meanwhile
            self._lose(depot)

    def when_lost(self, told: Callable[[int], None]) -> None:
        """Have it said, on the loop, when an owner is lost, or the way to it: which."""
        self._told = told

    async def start(self) -> None:
        """Return when an owner has offered what it has loaded."""
        await self._offered.wait()
        if self._state == "starting":
            self._state = "serving"

    def ready(self) -> bool:
        """True while requests for the default model, or without one for every model, would be let in."""
        return self._state == "serving" and not self._leaving and self._catalog.serves()

    def alive(self) -> bool:
        """True: an owner that has ended is replaced."""
        return True

    def lost(self) -> list[tuple[str, int]]:
        """None: the owners say which versions only a new process may mend."""
        return []

    @property
    def in_flight(self) -> int:
        """Requests that were let in here and are not yet answered."""
        return self._visits

    @property
    def leaving(self) -> bool:
        """True from the first moment of a shutdown."""
        return self._leaving

    def describe(self) -> Catalog:
        """Every version there is, ready or broken."""
        return self._catalog if self._state != "starting" else Catalog((), (), self._settings.default_model)

    def find(self, model: str | None, version: int | None) -> VersionFacts:
        """The version that a request would be answered with. Raises what `visit` raises, but Overloaded."""
        self.check_open()
        try:
            return self._catalog.find(model, version)
        except NotReady:
            if not self._there():
                raise NotReady(AWAY, retry_after_s=1) from None
            raise

    async def have(self, model: str | None, version: int | None, seconds: float | None = None) -> None:
        """Return when an owner has in memory, and offers, what a request would be answered with. Raises what `find`
        raises, but NotLoaded; DeadlineExceeded."""
        began = time.monotonic()
        while True:
            try:
                self.find(model, version)
            except NotLoaded as missing:
                patience_s = missing.deadline_s if seconds is None else min(seconds, missing.deadline_s)
                await have_loaded(list(self._depots.values()), missing, began + patience_s - time.monotonic())
            else:
                return

    def held_names(self) -> list[str]:
        """Models that an operator has loaded, where all that are there were."""
        return [] if self._settings.bounds() else self._catalog.names()

    async def index(self) -> list[Entry | Unloaded]:
        """Every version, and the models that could be loaded and are not. Raises NotReady, Draining."""
        self.check_open()
        depot = next((one for one in self._depots.values() if one.offers), None)
        if depot is None:
            raise NotReady(AWAY, retry_after_s=1)
        try:
            facts = await depot.letters.ask("unloaded", _MOMENT)
        except (Gone, TimeoutError):
            raise NotReady(AWAY, retry_after_s=1) from None
        entries = (entry for name in self._catalog.names() for entry in self._catalog.versions(name))
        return [*entries, *map(Unloaded, facts["names"])]

    def document(self, model: str, version: int, file: str) -> bytes:
        """A file beside a ready version's graph, for people to read. Blocking.

        Raises NotReady, ModelNotFound, DocumentNotFound.
        """
        self.check_open()
        return read_document(self._settings.repository, documented(self.describe(), model, version), file)

    def statistics(self) -> dict[Key, BatchStatistics]:
        """What was counted here of every ready version; the owners count the rest."""
        waiting = dict.fromkeys(self._ledgers, 0)
        for depot in self._depots.values():
            for key, stand in depot.stands.items():
                waiting[key] += stand.held - stand.ordered
        return {
            key: BatchStatistics(waiting[key], 0, 0, ledger.rejected, ledger.expired, ledger.cancelled, 0, 0)
            for key, ledger in self._ledgers.items()
        }

    def figures(self) -> dict[Key, Figures]:
        """What became of the requests that came here; model calls are the owners'."""
        return {key: ledger.tally.figures() for key, ledger in self._ledgers.items()}

    @contextmanager
    def visit(self, model: str | None, version: int | None) -> Iterator[RemoteVisit]:
        """Let a request in, before its body is read, or say at once why not.

        Raises Draining, NotReady, ModelNotFound, Overloaded.
        """
        if version is None and self._catalog.splits:
            version = chosen(self._catalog, model)
        facts = self.find(model, version)
        stands = self._versions[facts.name, facts.version]
        visit = RemoteVisit(stands, self._preparation, self._settings.images_per_request)
        started = time.monotonic()
        self._visits += 1
        self._idle.clear()
        try:
            with stands.visited():
                stands.check()
                yield visit
        finally:
            if not visit.succeeded:
                stands.ledger.tally.failed(time.monotonic() - started)
            self._visits -= 1
            if not self._visits:
                self._idle.set()

    def leave(self) -> None:
        """Be ready no more; requests are still let in."""
        self._leaving = True

    def close_door(self) -> None:
        """Let nobody in any more."""
        self._leaving = True
        self._state = "draining"

    async def drain(self) -> None:
        """Let nobody in any more; return when every visit has ended."""
        self.close_door()
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop now: what still waits is answered with Draining, and the threads end."""
        self.close_door()
        for depot in list(self._depots.values()):
            depot.carriage.close(Draining("the service is shutting down"))
            await depot.letters.close()
        self._preparation.close()

    def check_open(self) -> None:
        """Raise what a request would get that comes before the start, or too late. Raises NotReady, Draining."""
        if self._state == "draining":
            raise Draining("the service is shutting down; ask another instance")
        if self._state == "starting":
            raise NotReady("the models are still being loaded", retry_after_s=1)

    async def _answer(self, depot: Depot, what: str, facts: Facts) -> Facts:
        """What an owner asks."""
        if what == "offers":
            self._take(depot, read_offers(facts))
            return {}
        raise NotReady(f"an owner asked for {what!r}, which this front end does not know")

    def _take(self, depot: Depot, offers: Offers) -> None:
        """Serve what an owner offers from now on."""
        if self._depots.get(depot.number) is not depot:  # another has taken its place
            return
        depot.take(offers, self._ends, self._ledger)
        self._assemble()
        self._offered.set()

    def _ledger(self, facts: VersionFacts) -> Ledger:
        """Where a version is counted; an owner that ended, or another, has had the same."""
        key = (facts.name, facts.version)
        known = self._ledgers.get(key)
        if known is None or known.manifest != facts.manifest:
            known = self._ledgers[key] = Ledger(facts, self._metrics)
        return known

    def _there(self) -> dict[int, Offers]:
        """What the owners offer that are there."""
        return {number: depot.offers for number, depot in self._depots.items() if depot.offers}

    def _assemble(self) -> None:
        """Serve what all offer together."""
        self._versions = {}
        if not (there := self._there()):
            self._catalog = away(self._catalog)
            return
        self._catalog = whole(there, self._owners)
        for facts in self._catalog.ready:
            key = (facts.name, facts.version)
            at = ((depot, depot.stands[key]) for depot in self._depots.values() if key in depot.stands)
            alike = tuple(one for one in at if one[1].ready and one[1].facts.manifest == facts.manifest)
            self._versions[key] = Stands(facts, alike)
        known = {key for depot in self._depots.values() for key in depot.stands}
        waiting = {(one.name, one.version) for one in self._catalog.on_demand}
        for key in self._ledgers.keys() - known:
            if (self._ledgers[key].model, key[1]) in waiting:
                continue  # it is loaded again, and counts on
            del self._ledgers[key]
            self._metrics.forget(*key)

    def _lose(self, depot: Depot) -> None:
        """An owner has ended. Without another, what was offered is broken until one offers it."""
        if self._depots.get(depot.number) is not depot:
            return
        del self._depots[depot.number]
        depot.lost = True
        self._assemble()
        if not self._leaving:
            log.error("%s", AWAY)
            self._told(depot.number)

    def _counts(self) -> State:
        """What is read at a scrape: of versions only that they are broken, an owner tells of those that are not."""
        broken = () if self._there() else self._catalog.broken
        return State(Catalog((), broken, None), self.statistics(), self._visits)
