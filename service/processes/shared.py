"""The engine of a worker: it answers by itself, and tells and does what concerns the service by way of the supervisor.

Stands behind the door, whose promises it keeps.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from service.batching import BatchStatistics
from service.config import Split
from service.engine import Catalog, Entry, LocalEngine, Unloaded, VersionFacts, Visit
from service.errors import NotReady
from service.handover import Facts, Gone, RemoteEngine
from service.processes.reports import Key, Report, counts_of, entries_of, one_catalog, overall, read_report, totals_of
from service.processes.splitting import split_facts
from service.telemetry import Family, Figures, Metrics, add_up, side_by_side

_CONTROL_SECONDS = 3600.0  # a large model may take long; a worker that hangs ends what waits for it sooner
_MOMENT = 5.0


class Link(Protocol):
    """The way to the supervisor."""

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What it answers."""
        ...


class SharedEngine:
    """One engine of several. worker: its number. apart: each has models of its own, and what one tells of its versions
    adds to what the others tell; else all tell of the same. called: the name by which it is known where it is one of a
    cluster; its metrics then stand beside those of the others, and are not added to them."""

    def __init__(
        self,
        worker: int,
        local: LocalEngine | RemoteEngine,
        metrics: Metrics,
        link: Link,
        apart: bool = True,
        called: str = "",
    ) -> None:
        self.local = local
        self._apart = apart
        self._worker = worker
        self._metrics = metrics
        self._link = link
        self._called = called
        self._others: tuple[Report, ...] = ()
        self._all_ready = self._begun = self._joined = False
        self._to_part = 0
        metrics.include(self._families_elsewhere, self._families_of_each if called else None)

    async def start(self) -> None:
        """Load and check every model, then join those that serve. Raises what the local engine raises."""
        if self._begun:
            return
        self._begun = True
        await self.local.start()
        await self._join(again=False)

    async def join_again(self) -> None:
        """Join those that serve once more: who kept them together has been replaced, and knows nobody."""
        if self._joined:
            await self._join(again=True)

    async def _join(self, again: bool) -> None:
        facts = await self._link.ask("started", _CONTROL_SECONDS, again=again, **self.brief())
        self._all_ready, self._joined = bool(facts["ready"]), True

    def be_told(self, ready: bool) -> None:
        """Whether the service as a whole is ready."""
        self._all_ready = ready

    def ready(self) -> bool:
        """True while every process that serves would let requests in."""
        return self._all_ready and self.local.ready()

    def alive(self) -> bool:
        """True: a worker that only a new process could mend is replaced by one."""
        return True

    @property
    def in_flight(self) -> int:
        """Requests that were let in and are not yet answered."""
        return self.local.in_flight + sum(report.in_flight for report in self._others)

    @property
    def leaving(self) -> bool:
        """True from the first moment of a shutdown."""
        return self.local.leaving

    def parting(self) -> bool:
        """True if a caller shall come again on another connection, which another process may have."""
        if self.local.leaving or not self._to_part:
            return self.local.leaving
        self._to_part -= 1
        return True

    def part_with(self, connections: int) -> None:
        """End so many connections, each with its next answer: others have fewer."""
        self._to_part = connections

    def describe(self) -> Catalog:
        """Every version there is; ready are those that every process has ready."""
        return one_catalog(self.local.describe(), self._others)

    async def gather(self) -> None:
        """Ask the other processes what they have counted."""
        try:
            facts = await self._link.ask("gather", _MOMENT)
        except (Gone, TimeoutError):  # what they said last is the best there is
            return
        served = {(facts.name, facts.version) for facts in self.local.describe().known()}
        reports = map(read_report, facts["reports"])
        self._others = tuple(report if report.worker else report.of_versions(served) for report in reports)

    def find(self, model: str | None, version: int | None) -> VersionFacts:
        """The version that a request would be answered with. Raises what `visit` raises, but Overloaded."""
        return overall(self.local.find(model, version), self._others)

    async def have(self, model: str | None, version: int | None, seconds: float | None = None) -> None:
        """Return when the version is in memory that a request would be answered with here, or by the owner."""
        await self.local.have(model, version, seconds)

    def visit(self, model: str | None, version: int | None) -> AbstractContextManager[Visit]:
        """Let a request in, before its body is read, or say at once why not."""
        return self.local.visit(model, version)

    async def index(self) -> list[Entry | Unloaded]:
        """Every version, and the models that could be loaded and are not. Raises NotReady."""
        unloaded = [one for one in await self.local.index() if isinstance(one, Unloaded)]
        await self.gather()
        catalog = self.describe()
        return [*(entry for name in catalog.names() for entry in catalog.versions(name)), *unloaded]

    async def load_model(self, name: str) -> None:
        """Have every process load what is new of a model; returns when it serves in all of them."""
        await self._everywhere("load", name)

    async def unload_model(self, name: str) -> None:
        """Have every process take a model out of service; returns when its last request is answered."""
        await self._everywhere("unload", name)

    async def split_model(self, name: str, split: Split | None) -> None:
        """Have every process share a model's requests among its versions like this."""
        await self._everywhere("split", name, split=split_facts(split))

    async def reset_norm(self, name: str) -> None:
        """Put a model's adaptive norms back to training's figures, in every process."""
        await self._everywhere("reset", name)

    def document(self, model: str, version: int, file: str) -> bytes:
        """A file beside a ready version's graph, for people to read. Blocking."""
        return self.local.document(model, version, file)

    def statistics(self) -> dict[Key, BatchStatistics]:
        """Counts of every ready version, of all processes together."""
        here = self.local.statistics()
        found = counts_of((self.report(), *self._others))
        return {key: found[key] for key in here}

    def figures(self) -> dict[Key, Figures]:
        """What became of the requests of every ready version, of all processes together."""
        here = self.local.figures()
        found = totals_of((self.report(), *self._others))
        return {key: found[key] for key in here}

    def leave(self) -> None:
        """Be ready no more; requests are still let in."""
        self.local.leave()

    def close_door(self) -> None:
        """Let nobody in any more."""
        self.local.close_door()

    async def drain(self) -> None:
        """Let nobody in any more; return when every visit has ended."""
        await self.local.drain()

    async def stop(self) -> None:
        """Stop now: what still waits is answered with Draining."""
        await self.local.stop()

    def report(self, families: bool = False) -> Report:
        """This process at this moment. families: with its metrics."""
        return Report(
            self._worker,
            entries_of(self.local.describe()) if self._apart else (),
            self.local.in_flight,
            tuple((*key, found) for key, found in self.local.statistics().items()),
            tuple((*key, found) for key, found in self.local.figures().items()),
            self._metrics.here() if families else (),
            self._called,
        )

    def brief(self) -> Facts:
        """What the supervisor wants to know whenever it changes."""
        lost = self.local.lost()  # looks first, and the catalog says then what it saw
        catalog = self.local.describe()
        return {
            "ready": self.local.ready(),
            "alive": not lost,
            "versions": len(catalog.ready),
            "broken": len(catalog.broken),
            "providers": sorted({facts.provider for facts in catalog.ready}),
            "models": self.local.held_names(),
            "serving": sorted({(facts.model, facts.version) for facts in catalog.ready}),
            "fatal": lost,
        }

    async def _everywhere(self, act: str, name: str, **more: object) -> None:
        """Have every process do it. Raises what the local engine raises before its start and after its end."""
        self.local.check_open()
        try:
            await self._link.ask(act, _CONTROL_SECONDS, name=name, **more)
        except Gone:
            raise NotReady("what keeps the processes together is being replaced; ask again", retry_after_s=1) from None

    def _families_elsewhere(self) -> tuple[Family, ...]:
        return add_up(report.families for report in self._others)

    def _families_of_each(self) -> tuple[Family, ...]:
        """Not added up. Those that have ended have no name, and are left out, as a scrape of each would leave them."""
        others = ((report.called, report.families) for report in self._others if report.called)
        return side_by_side("replica", [(self._called, self._metrics.here()), *others])
