"""The engine of this process: the models of one repository, their batchers and the threads that decode for them.

Stands behind the door (`door.Engine`), whose promises it keeps.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from export.errors import ExportError
from export.manifest import read_manifest
from export.repository import model_names, version_dir, versions
from service.batching import BatchStatistics
from service.config import Settings, Split
from service.decoding import Pool, Preparation
from service.engine.bounded_control import BoundedControl
from service.engine.catalog import Catalog, Entry, Unloaded, VersionFacts
from service.engine.collector import State, StateCollector
from service.engine.control import Agree, Control
from service.engine.documents import documented, read_document
from service.engine.splits import chosen
from service.engine.survey import Stock
from service.engine.visit import LocalVisit, Served
from service.errors import Draining, NotReady, StartError
from service.mirroring import Mirroring
from service.runtime import Placement, check_installation, place, usable_cpus
from service.telemetry import Figures, Metrics

log = logging.getLogger(__name__)


class LocalEngine:
    """The models of one repository, in this process. processes: how many share the queues. led: somebody else follows
    the repository, and says when to load."""

    def __init__(self, settings: Settings, metrics: Metrics, processes: int = 1, led: bool = False) -> None:
        self._settings = settings
        self._processes = processes
        self._led = led or processes > 1
        self._metrics = metrics
        self._mirroring = Mirroring(settings, self._serving) if settings.store else None
        self._limits = settings.limits()
        self._control: Control | None = None
        pool = Pool(settings.decode_threads or usable_cpus(), "decode", self._limits.decoded_bytes)
        self._preparation = Preparation(pool, self._limits)
        self._visits = 0
        self._changed: Callable[[], None] = lambda: None
        self._state = "starting"
        self._leaving = False

    async def start(self) -> None:
        """Load and check every model, once; returns when all that can serve do.

        Raises StartError for a device or an installation that will not do, RepositoryError without a repository.
        """
        if self._state != "starting":
            return
        self._idle = asyncio.Event()
        self._idle.set()
        started = time.monotonic()
        if self._mirroring:
            self._metrics.watch(self._mirroring)
            await self._mirroring.begin()
        placement = await asyncio.to_thread(self._place)
        if self._settings.max_memory and not placement.first.on_cpu:
            raise StartError("max_memory counts main memory, and the models are on a GPU; take --max-models there.")
        stock = Stock(self._settings, placement, self._processes)
        kind = BoundedControl if self._settings.bounds() else Control
        self._control = kind(self._settings, stock, self._metrics, self._tell_change, self._led)
        await self._control.start()
        self._tell(placement, time.monotonic() - started)
        self._metrics.watch(StateCollector(lambda: State(self.describe(), self.statistics(), self._visits)))
        self._state = "serving"

    def ready(self) -> bool:
        """True while requests for the default model, or without one for every model, would be let in.

        False from the first moment of a shutdown, though requests are still let in for a while.
        """
        if self._leaving:
            return False
        try:
            self._open_control().look()
        except NotReady:
            return False
        return self.describe().serves()

    def alive(self) -> bool:
        """False once an instance or its device is broken in a way that only a new process may mend."""
        return not self.lost()

    def lost(self) -> list[tuple[str, int]]:
        """The names and numbers of the versions for which that is so."""
        return self._control.lost() if self._control else []

    @property
    def in_flight(self) -> int:
        """Requests that were let in and are not yet answered."""
        return self._visits

    def describe(self) -> Catalog:
        """Every version there is, ready or broken."""
        return self._control.catalog if self._control else Catalog((), (), self._settings.default_model)

    def served(self) -> Mapping[tuple[str, int], Served]:
        """The versions in service, for whoever lets others visit them."""
        return self._control.served if self._control else {}

    def _serving(self) -> set[tuple[str, int]]:
        """The versions in service, by their folders."""
        return {(one.facts.model, one.facts.version) for one in self.served().values()}

    def _tell_change(self) -> None:
        self._changed()

    def when_changed(self, told: Callable[[], None]) -> None:
        """Have it said, on the loop, whenever `describe` or `served` give something else."""
        self._changed = told

    async def gather(self) -> None:
        """Everything is in this process."""

    def find(self, model: str | None, version: int | None) -> VersionFacts:
        """The version that a request would be answered with. Raises what `visit` raises, but Overloaded."""
        return self._open_control().catalog.find(model, version)

    async def have(self, model: str | None, version: int | None, seconds: float | None = None) -> None:
        """Return when the version is in memory that a request would be answered with. Raises what `find` raises, but
        NotLoaded; DeadlineExceeded."""
        await self._open_control().have(model, version, seconds)

    def held_names(self) -> list[str]:
        """Models that an operator has loaded."""
        return self._control.held_names() if self._control else []

    async def index(self) -> list[Entry | Unloaded]:
        """Every version, and the models that could be loaded and are not. Raises NotReady."""
        return await self._open_control().index()

    async def load_model(self, name: str, agree: Agree | None = None) -> None:
        """Load what is new of a model; returns when it serves. Raises ControlRefused, ModelNotFound, NotReady.

        agree: waited for when its new versions are loaded and tried, and before any of them serves.
        """
        await self._open_control().load(name, agree)

    async def follow(self, names: Sequence[str], agree: Agree | None = None) -> None:
        """Let these models serve as the repository has them now. Raises NotReady, Draining."""
        await self._open_control().follow(names, agree)

    async def split_model(self, name: str, split: Split | None) -> None:
        """Share a model's requests among its versions, or no more. Raises ControlRefused, ModelNotFound, NotReady."""
        self._open_control().split(name, split)

    def put_split(self, name: str, split: Split | None) -> None:
        """The same without a question: somebody else has decided."""
        self._open_control().splits.put(name, split)

    async def unload_model(self, name: str) -> None:
        """Take a model out of service; returns when its last request is answered. Raises as `load_model` does."""
        await self._open_control().unload(name)

    async def reset_norm(self, name: str) -> None:
        """Put a model's adaptive norms back to training's figures. Raises ControlRefused, ModelNotFound, NotReady."""
        await self._open_control().reset(name)

    def document(self, model: str, version: int, file: str) -> bytes:
        """A file beside a ready version's graph, for people to read. Blocking.

        Raises NotReady, ModelNotFound, DocumentNotFound.
        """
        return read_document(self._settings.repository, documented(self._open_control().catalog, model, version), file)

    def statistics(self) -> dict[tuple[str, int], BatchStatistics]:
        """Counts of every ready version."""
        return {key: one.batcher.statistics() for key, one in self.served().items()}

    def figures(self) -> dict[tuple[str, int], Figures]:
        """What became of the requests of every ready version."""
        return {key: one.tally.figures() for key, one in self.served().items()}

    @contextmanager
    def visit(self, model: str | None, version: int | None) -> Iterator[LocalVisit]:
        """Let a request in, before its body is read, or say at once why not.

        Raises Draining, NotReady, ModelNotFound, Overloaded.
        """
        control = self._open_control()
        catalog = control.catalog
        if version is None and catalog.splits:
            version = chosen(catalog, model)
        entry = catalog.find(model, version)
        served = control.served[entry.name, entry.version]
        visit = LocalVisit(served, self._preparation, self._settings.images_per_request)
        started = time.monotonic()
        self._visits += 1
        self._idle.clear()
        served.enter()
        try:
            served.batcher.check()
            yield visit
        finally:
            if not visit.succeeded:
                served.tally.failed(time.monotonic() - started)
            served.leave()
            self._visits -= 1
            if not self._visits:
                self._idle.set()

    @property
    def leaving(self) -> bool:
        """True from the first moment of a shutdown."""
        return self._leaving

    def parting(self) -> bool:
        """True if a caller shall come again on another connection."""
        return self._leaving

    def leave(self) -> None:
        """Be ready no more, and follow no more changes of the repository; requests are still let in."""
        self._leaving = True
        if self._mirroring:
            self._mirroring.stop()
        if self._control:
            self._control.close()

    def close_door(self) -> None:
        """Let nobody in any more."""
        self.leave()
        self._state = "draining"

    async def drain(self) -> None:
        """Let nobody in any more; return when every visit has ended."""
        self.close_door()
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop now: what still waits is answered with Draining, and the threads end."""
        self.close_door()
        if self._control:
            self._control.stop()
        self._preparation.close()

    def check_open(self) -> None:
        """Raise what a request would get that comes before the start, or too late. Raises NotReady, Draining."""
        self._open_control()

    def _open_control(self) -> Control:
        if self._state == "draining":
            raise Draining("the service is shutting down; ask another instance")
        if self._state == "starting" or self._control is None:
            raise NotReady("the models are still being loaded", retry_after_s=1)
        return self._control

    def _place(self) -> Placement:
        check_installation()
        settings = self._settings
        return place(settings.devices(), settings.threads, _some_graph(settings.repository), settings.gpu())

    def _tell(self, placement: Placement, seconds: float) -> None:
        log.info(
            "%s ready, %d left out, on %s (asked for %s, %d threads), in %.1f s",
            _counted(len(self.describe().ready), "version"),
            len(self.describe().broken),
            placement.provider,
            self._settings.device,
            placement.threads,
            seconds,
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some_graph(root: Path) -> Path | None:
    """A graph of the repository that may be opened on CUDA to see whether CUDA works."""
    for name in model_names(root):
        for version in reversed(versions(root, name)):
            folder = version_dir(root, name, version)
            try:
                variant = read_manifest(folder).variant()
            except ExportError:
                continue
            if "cuda" in variant.devices and (folder / variant.file).is_file():
                return folder / variant.file
    return None
