"""The engine of a front end: requests are decoded here, and answered by the process that owns the models.

What it offers is what the owner offers. While there is no owner, nobody is let in, and everybody is told to come again.
"""

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from service.batching import BatchStatistics
from service.config import Settings
from service.decoding import Pool, Preparation
from service.engine import (
    BrokenVersion,
    Catalog,
    Entry,
    State,
    StateCollector,
    Unloaded,
    VersionFacts,
    read_document,
)
from service.errors import Draining, NotReady
from service.handover.carriage import LOST, Carriage
from service.handover.channel import Channel, Facts, Gone
from service.handover.offers import read_offers
from service.handover.remote_visit import RemoteVisit
from service.handover.stand import Stand
from service.runtime import usable_cpus
from service.telemetry import Figures, Metrics

log = logging.getLogger(__name__)
_MOMENT = 5.0
Key = tuple[str, int]


class RemoteEngine:
    """The models of another process. ends: how many front ends it has."""

    def __init__(self, settings: Settings, metrics: Metrics, ends: int = 1) -> None:
        self._settings = settings
        self._metrics = metrics
        self._ends = ends
        limits = settings.limits()
        pool = Pool(settings.decode_threads or usable_cpus(), "decode", limits.decoded_bytes)
        self._preparation = Preparation(pool, limits)
        self._numbers = itertools.count(1)
        self._catalog = Catalog((), (), settings.default_model)
        self._stands: dict[Key, Stand] = {}
        self._carriage: Carriage | None = None
        self._letters: Channel | None = None
        self._told: Callable[[], None] = lambda: None
        self._visits = 0
        self._state = "starting"
        self._leaving = False
        self._away = False  # the owner has ended, and no other has offered anything
        self._offered = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        metrics.watch(StateCollector(self._counts))

    async def connect(self, bell: socket.socket, letters: socket.socket) -> None:
        """Meet the owner, or the one that has taken its place. The sockets are the engine's from now on."""
        carriage = Carriage(bell, self._settings.slot_bytes, self._numbers, lambda: self._lose(carriage))
        channel = await Channel.over(letters, self._answer)
        if (before := self._carriage) is not None:
            before.close(NotReady(LOST, retry_after_s=1))
            self._lose(before)
        self._carriage, self._letters = carriage, channel

    def when_lost(self, told: Callable[[], None]) -> None:
        """Have it said, on the loop, when the owner is lost, or the way to it."""
        self._told = told

    async def start(self) -> None:
        """Return when the owner has offered what it has loaded."""
        await self._offered.wait()
        if self._state == "starting":
            self._state = "serving"

    def ready(self) -> bool:
        """True while requests for the default model, or without one for every model, would be let in."""
        return self._state == "serving" and not self._leaving and self._catalog.serves()

    def alive(self) -> bool:
        """True: an owner that has ended is replaced."""
        return True

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
            if self._away:
                raise NotReady(LOST, retry_after_s=1) from None
            raise

    async def index(self) -> list[Entry | Unloaded]:
        """Every version, and the models that could be loaded and are not. Raises NotReady, Draining."""
        self.check_open()
        if self._letters is None:
            raise NotReady(LOST, retry_after_s=1)
        try:
            facts = await self._letters.ask("unloaded", _MOMENT)
        except (Gone, TimeoutError):
            raise NotReady(LOST, retry_after_s=1) from None
        entries = (entry for name in self._catalog.names() for entry in self._catalog.versions(name))
        return [*entries, *map(Unloaded, facts["names"])]

    def document(self, model: str, version: int, file: str) -> bytes:
        """A file beside a ready version's graph, for people to read. Blocking.

        Raises NotReady, ModelNotFound, DocumentNotFound.
        """
        return read_document(self._settings.repository, self.find(model, version), file)

    def statistics(self) -> dict[Key, BatchStatistics]:
        """What was counted here of every ready version; the owner counts the rest."""
        return {
            key: BatchStatistics(stand.held - stand.ordered, 0, 0, stand.rejected, stand.expired, stand.cancelled, 0, 0)
            for key, stand in self._stands.items()
        }

    def figures(self) -> dict[Key, Figures]:
        """What became of the requests that came here; model calls are the owner's."""
        return {key: stand.tally.figures() for key, stand in self._stands.items()}

    @contextmanager
    def visit(self, model: str | None, version: int | None) -> Iterator[RemoteVisit]:
        """Let a request in, before its body is read, or say at once why not.

        Raises Draining, NotReady, ModelNotFound, Overloaded.
        """
        facts = self.find(model, version)
        stand, carriage = self._stands[facts.name, facts.version], self._carriage
        if carriage is None:
            raise NotReady(LOST, retry_after_s=1)
        visit = RemoteVisit(stand, carriage, self._preparation, self._settings.images_per_request)
        started = time.monotonic()
        self._visits += 1
        self._idle.clear()
        stand.visits += 1
        try:
            carriage.check(stand)
            yield visit
        finally:
            if not visit.succeeded:
                stand.tally.failed(time.monotonic() - started)
            stand.visits -= 1
            self._let_go(stand)
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
        if self._carriage is not None:
            self._carriage.close(Draining("the service is shutting down"))
        if self._letters is not None:
            await self._letters.close()
        self._preparation.close()

    def check_open(self) -> None:
        """Raise what a request would get that comes before the start, or too late. Raises NotReady, Draining."""
        if self._state == "draining":
            raise Draining("the service is shutting down; ask another instance")
        if self._state == "starting":
            raise NotReady("the models are still being loaded", retry_after_s=1)

    async def _answer(self, what: str, facts: Facts) -> Facts:
        """What the owner asks."""
        if what == "offers":
            self._take(facts)
            return {}
        raise NotReady(f"the owner asked for {what!r}, which this front end does not know")

    def _take(self, facts: Facts) -> None:
        """Serve what the owner offers from now on."""
        offers = read_offers(facts)
        before, self._stands = self._stands, {}
        for offer in offers.served:
            key = (offer.facts.name, offer.facts.version)
            old = before.get(key)
            if old is not None and old.number == offer.number:
                old.facts = offer.facts
                self._stands[key] = old
                continue
            stand = self._stands[key] = Stand(offer, self._ends, self._metrics)
            if old is not None and old.lost:
                stand.counted_on(old)
        self._catalog, self._away = offers.catalog(), False
        self._offered.set()
        for key, old in before.items():
            if self._stands.get(key) is not old:
                old.offered = False
                self._let_go(old)
            if key not in self._stands:
                self._metrics.forget(*key)

    def _let_go(self, stand: Stand) -> None:
        """Tell the owner that nobody here visits a version any more that it has taken out of service."""
        if not (stand.offered or stand.visits or stand.lost) and self._letters is not None:
            self._letters.tell("left", number=stand.number)

    def _lose(self, carriage: Carriage) -> None:
        """The owner has ended. What it offered is broken until another offers it."""
        if self._carriage is not carriage:
            return
        self._carriage, self._away = None, True
        for stand in self._stands.values():
            stand.lost = True
        here = self._catalog
        broken = tuple(BrokenVersion(one.name, one.version, LOST) for one in here.ready)
        self._catalog = replace(here, ready=(), broken=(*here.broken, *broken))
        if not self._leaving:
            log.error("%s", LOST)
            self._told()

    def _counts(self) -> State:
        """What is read at a scrape: of versions only that they are broken, the owner tells of those that are not."""
        broken = self._catalog.broken if self._away else ()
        return State(Catalog((), broken, None), self.statistics(), self._visits)
