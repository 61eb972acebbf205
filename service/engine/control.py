"""Model control: brings what serves in line with the repository, one change at a time, without losing a request.

What is new is loaded and tried in a thread while the old serves; then requests go to the new; then the old is emptied
and forgotten. Knows nothing of HTTP.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial

from export.errors import ExportError
from export.repository import model_names
from service.config import Settings, Split, check_names, default_model
from service.engine.bounded import BoundedSurveys
from service.engine.catalog import Catalog, Entry, OnDemand, Unloaded, gather, trouble
from service.engine.loading import Loaded, facts_of, trouble_of
from service.engine.soundness import Soundness
from service.engine.splits import Splits, check_split
from service.engine.survey import Item, Stock, serves, trials, without
from service.engine.visit import Served
from service.errors import ControlRefused, Draining, ModelNotFound, NotReady, ServiceError
from service.telemetry import Metrics

log = logging.getLogger(__name__)
Agree = Callable[[], Awaitable[None]]
_LOOK_SECONDS = 1.0  # from one look at the instances to the next; probes look for themselves


class Control:
    """The versions in service. `catalog` and `served` are always those of one moment, and are swapped between turns of
    the loop, never within one."""

    def __init__(
        self,
        settings: Settings,
        stock: Stock,
        metrics: Metrics,
        changed: Callable[[], None] = lambda: None,
        led: bool = False,
    ) -> None:
        """changed: told whenever the catalog, or what serves, is another. led: somebody else follows the repository."""
        self._led = led
        self._changed = changed
        self._settings = settings
        self._stock = stock
        self._surveys = BoundedSurveys(stock, settings.load_seconds, self._take_late)
        self._metrics = metrics
        self._items: dict[str, dict[int, Item]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._leaving: dict[asyncio.Task[None], Served] = {}
        self._soundness = Soundness()
        self.splits = Splits(settings, self._assemble)
        self._polling: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopped = False
        self._default = settings.default_model
        self.catalog = Catalog((), (), settings.default_model)
        self.served: dict[tuple[str, int], Served] = {}

    async def start(self) -> None:
        """Load what is to serve from the start. Raises RepositoryError, StartError, ModelNotFound."""
        await self._first(await self._first_names())
        self.splits.check(self.catalog)
        self._watching = asyncio.create_task(self._watch())
        if self._settings.model_control == "poll" and not self._led:
            self._polling = asyncio.create_task(self._poll())

    async def have(self, model: str | None, version: int | None, seconds: float | None) -> None:
        """Return when the version is in memory that such a request is answered with: here all are."""

    def held_names(self) -> list[str]:
        """Models that were loaded, at the start or since, and are to be until they are unloaded."""
        return self.catalog.names()

    async def load(self, name: str, agree: Agree | None = None) -> None:
        """Load what is new of a model of the repository; what was broken is tried again. agree: as in `follow`.

        Raises ModelNotFound, and ControlRefused where that is not allowed or the newest version is not sound. What
        serves stays.
        """
        self._check_explicit()
        if name not in await self._names():
            raise ModelNotFound(f"the repository has no model {name[:100]!r}")
        await self._bring([name], again=True, agree=agree)
        entries = self.catalog.versions(name)
        if not entries:
            raise ControlRefused(f"model {name!r} has no versions")
        if reason := trouble(entries[-1]):
            raise ControlRefused(reason)

    async def follow(self, names: Iterable[str], agree: Agree | None = None) -> None:
        """Let these models serve as the repository has them now. Raises NotReady, Draining.

        agree: waited for when a model's new versions are loaded and tried, and before any of them serves.
        """
        await self._bring(names, agree=agree)

    async def unload(self, name: str) -> None:
        """Let nobody in to a model any more, answer those who are in, forget it. Raises as `load` does."""
        self._check_explicit()
        if name not in self._items:
            raise ModelNotFound(f"model {name[:100]!r} is not loaded")
        async with self._one_at_a_time:
            leaving = self._swap({other: items for other, items in self._items.items() if other != name})
        await asyncio.gather(*(asyncio.shield(task) for task in leaving))

    def split(self, name: str, split: Split | None) -> None:
        """Share a model's requests among its versions, or no more. Raises ControlRefused, ModelNotFound."""
        self._check_explicit()
        if split is not None:
            check_split(split, self.catalog)
        self.splits.put(name, split)

    async def reset(self, name: str) -> None:
        """Forget what the norms of a model took from its traffic. Raises ControlRefused, ModelNotFound."""
        self._check_explicit()
        served = [one for one in self.served.values() if one.facts.name == name]
        sessions = [session for one in served for session in one.loaded.sessions]
        if not sessions:
            raise ModelNotFound(f"no version of a model {name[:100]!r} serves")
        for session in sessions:
            await asyncio.to_thread(session.reset)

    async def index(self) -> list[Entry | Unloaded]:
        """Every version; under explicit control also the models that are not loaded."""
        names: set[str] = set()
        if self._settings.model_control == "explicit":
            names = set(await self._names())
        entries = [entry for name in self.catalog.names() for entry in self.catalog.versions(name)]
        return [*entries, *map(Unloaded, sorted(names - self._items.keys()))]

    def look(self) -> None:
        """Take out of the catalog what does not answer now, and back into it what does again."""
        if self._soundness.look(self.served):
            self._assemble()

    def lost(self) -> list[tuple[str, int]]:
        """The versions that only a new process may mend: in order, each once."""
        self.look()
        broken = {(entry.name, entry.version) for entry in self.catalog.broken if entry.fatal}
        return sorted(broken | set(self._soundness.lost()))

    def close(self) -> None:
        """Follow no more changes."""
        if self._polling:
            self._polling.cancel()

    def stop(self) -> None:
        """End every batcher now; what waits is answered with Draining."""
        self.close()
        if self._watching:
            self._watching.cancel()
        self._stopped = True
        for served in (*self.served.values(), *self._leaving.values()):
            served.batcher.stop()

    async def _first(self, names: list[str]) -> None:
        """Have these models serve from the start."""
        await self._bring(names)

    async def _first_names(self) -> list[str]:
        names = await asyncio.to_thread(model_names, self._settings.repository)
        check_names(self._settings, names)
        self._default = default_model(self._settings, names)
        self._assemble()
        wanted = (self._settings.load_models or "").strip()
        if self._settings.model_control != "explicit" or wanted == "*":
            return names
        chosen = [name.strip() for name in wanted.split(",") if name.strip()]
        if unknown := sorted(set(chosen) - set(names)):
            raise ModelNotFound(f"load_models names {', '.join(unknown)}; the repository has {', '.join(names)}")
        return chosen

    async def _names(self) -> list[str]:
        try:
            return await asyncio.to_thread(model_names, self._settings.repository)
        except (ExportError, OSError) as error:
            log.warning("the repository cannot be read: %s", error)
            raise NotReady("the repository cannot be read; the service's log says why") from error

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                names = await self._names()
                await self._bring([*names, *(self._items.keys() - set(names))])
            except ServiceError as error:  # the repository is away for a while; what serves, serves
                log.warning("looking at the repository: %s", error)
            except Exception:  # the edge of the task: the next look may go better
                log.exception("looking at the repository")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                self.look()
                if not self._led:  # else whoever leads sees the requests of all
                    self.splits.judge(self._metrics)
            except Exception:  # the edge of the task: the next look may go better
                log.exception("looking at the instances")

    async def _bring(self, names: Iterable[str], again: bool = False, agree: Agree | None = None) -> None:
        """Survey these models one after the other, and let each serve as it was found."""
        async with self._one_at_a_time:
            for name in names:
                known = self._items.get(name, {})
                found = await self._survey(name, known, again)
                if agree:
                    await agree()
                if self._stopped:
                    raise Draining("the service is shutting down")
                self._serve(name, found)
                await self._settle(name, known)

    async def _survey(self, name: str, known: dict[int, Item], again: bool) -> dict[int, Item]:
        start = self._as_they_are(known, again)
        return await self._surveys.survey(name, known, partial(self._stock.survey, name, start, again))

    async def _settle(self, name: str, known: dict[int, Item]) -> None:
        """What is to be done once a model serves as it was found. known: as it was before."""

    async def _take_late(self, name: str, found: dict[int, Item]) -> None:
        """Let serve what was loaded late, unless its model was unloaded meanwhile."""
        async with self._one_at_a_time:
            if name in self._items and not self._stopped:
                self._serve(name, found)

    def _serve(self, name: str, found: dict[int, Item]) -> None:
        known = self._items.get(name, {})
        if found != known or name not in self._items:
            self._note(name, known, found)
            gone = not found and self._settings.model_control == "poll"
            self._swap({**self._items, name: found} if not gone else without(self._items, name))

    def _swap(self, items: dict[str, dict[int, Item]], change: str = "retired") -> list[asyncio.Task[None]]:
        """Serve these from now on. Returns the tasks that see out what is served no longer. change: how that counts."""
        before = self.served
        served: dict[tuple[str, int], Served] = {}
        for trial in trials(items):
            if isinstance(trial, Loaded):
                key = (trial.facts.name, trial.facts.version)
                old = before.get(key)
                same = old is not None and old.loaded.sessions is trial.sessions
                limits = self._settings.call_limits()
                served[key] = old if old is not None and same else Served(trial, self._metrics, limits)
        self._items, self.served = items, served
        self._soundness.renew(served)
        self._assemble()
        staying = set(map(id, served.values()))
        return [self._see_out(old, change) for old in before.values() if id(old) not in staying]

    def _assemble(self) -> None:
        entries = (facts_of(self._soundness.as_it_is(trial)) for trial in trials(self._items))
        self.catalog = replace(gather(entries, self._default), splits=self.splits.all())
        if self._settings.model_control == "explicit":
            self.catalog = replace(self.catalog, advice="POST /v2/repository/models/NAME/load loads one")
        self._changed()

    def _as_they_are(self, items: dict[int, Item], again: bool) -> dict[int, Item]:
        """What a survey shall start from: asked to load again, it also tries anew what was sound and is not now."""
        if not again:
            return items
        return {version: replace(item, trial=self._soundness.as_it_is(item.trial)) for version, item in items.items()}

    def _see_out(self, served: Served, change: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._retire(served))
        self._leaving[task] = served
        task.add_done_callback(self._leaving.pop)
        self._metrics.changed(served.facts.name, change)
        return task

    async def _retire(self, served: Served) -> None:
        await served.retire()
        name, version = served.facts.name, served.facts.version
        waits = (served.facts.model, version) in {(one.name, one.version) for one in self.catalog.on_demand}
        if (name, version) not in self.served and not waits:  # else it, or what took its place, counts on
            self._metrics.forget(name, version)

    def _note(self, name: str, known: dict[int, Item], found: dict[int, Item]) -> None:
        for version, item in found.items():
            if isinstance(item.trial, OnDemand):
                continue
            if version not in known or known[version].trial != item.trial:
                reason = trouble_of(item.trial)
                change = "refused" if reason else "loaded"
                self._metrics.changed(name, change)
                log.info("%s version %d: %s %s", name, version, change, reason)
        for version in known.keys() - found.keys():
            log.info("%s version %d: %s", name, version, "serves no longer" if serves(known[version]) else "is gone")

    def _check_explicit(self) -> None:
        mode = self._settings.model_control
        if mode != "explicit":
            raise ControlRefused(f"model control is {mode!r}; load and unload want --model-control explicit")
