"""Model control where not everything fits into memory: versions are loaded on demand, within bounds.

A request for a version that is not in memory waits for it. What was asked least recently is let go to make room, when
its last request is answered. What was loaded by an operator's request stays.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from export.repository import version_dir
from service.config import Settings
from service.engine.catalog import BrokenVersion, OnDemand
from service.engine.control import Agree, Control
from service.engine.demand import Demand, Held, Key
from service.engine.loading import Loaded, Trial
from service.engine.memory import give_back, graph_bytes
from service.engine.survey import Item, Stock
from service.errors import ControlRefused, Draining, NotLoaded, NotReady, ServiceError, StartError
from service.telemetry import Metrics

log = logging.getLogger(__name__)
_MOMENT = 0.001


class BoundedControl(Control):
    """The versions in service, and those that wait for a request."""

    def __init__(
        self,
        settings: Settings,
        stock: Stock,
        metrics: Metrics,
        changed: Callable[[], None] = lambda: None,
        led: bool = False,
    ) -> None:
        """The words are those of `Control`."""
        super().__init__(settings, stock, metrics, changed, led)
        self._bounds = settings.bounds()
        self._demand = Demand(self._load_one)
        self._pinned: set[str] = set()
        self._took: dict[Key, int] = {}  # bytes of versions when they were loaded last

    async def have(self, model: str | None, version: int | None, seconds: float | None) -> None:
        """Return when the version is in memory that such a request is answered with; call `find` at once then.

        seconds: longest wait, where shorter than the model's deadline. Raises what `Catalog.find` raises,
        DeadlineExceeded, Draining.
        """
        began = time.monotonic()
        while True:
            try:
                self.catalog.find(model, version)
            except NotLoaded as missing:
                patience_s = missing.deadline_s if seconds is None else min(seconds, missing.deadline_s)
                left_s = began + patience_s - time.monotonic()
                await self._demand.have((missing.name, missing.version), left_s)
            else:
                return

    def held_names(self) -> list[str]:
        """Models that were loaded by an operator's request, and stay until they are unloaded."""
        return sorted(self._pinned)

    async def load(self, name: str, agree: Agree | None = None) -> None:
        """Load every version of a model that is to serve, and keep them until it is unloaded. Raises as `Control`, and
        ControlRefused where they do not fit."""
        self._check_explicit()
        before = set(self._pinned)
        self._pinned.add(name)
        try:
            await super().load(name, agree)
        except ServiceError:
            if name not in self.catalog.names():
                self._pinned = before & self._pinned
            raise

    async def unload(self, name: str) -> None:
        """Let a model go, and load it no more until it is asked to."""
        await super().unload(name)
        self._pinned.discard(name)
        await asyncio.to_thread(give_back)

    async def _first(self, names: list[str]) -> None:
        """Know every model; have those in memory that the operator named, else the default one."""
        explicit = self._settings.model_control == "explicit"
        await self._bring(await self._names())
        if explicit:
            self._pinned = set(names)
            try:
                await self._bring(names)
            except ControlRefused as error:
                raise StartError(f"load_models: {error.message}") from error
        if self.catalog.default is not None:
            try:
                await self.have(None, None, self._settings.load_seconds)
            except ServiceError as error:  # it is on record; another request may fare better
                log.warning("the default model is not loaded: %s", error.message)

    async def _survey(self, name: str, known: dict[int, Item], again: bool) -> dict[int, Item]:
        here = frozenset(number for number, item in known.items() if isinstance(item.trial, Loaded))
        start = self._as_they_are(known, again)
        if name in self._pinned:
            if not here:
                await self._make_room_to_stay(name)
            return await self._surveys.survey(name, known, partial(self._stock.survey, name, start, again))
        work = partial(self._stock.survey, name, start, again, here)
        found = await self._surveys.survey(name, known, work)
        newest = max(found, default=0)
        if not (here and found) or newest in known or not isinstance(found[newest].trial, OnDemand):
            return found
        # Callers of a model that is in use do not wait for its new version.
        await self._make_room((name, newest), self._expected((name, newest), found[newest]))
        return await self._surveys.survey(name, known, partial(self._stock.demand, name, found, newest))

    async def _make_room_to_stay(self, name: str) -> None:
        try:
            await self._make_room((name, 0), 1)
        except NotReady as error:
            raise ControlRefused(error.message) from error

    async def _settle(self, name: str, known: dict[int, Item]) -> None:
        try:
            await self._keep_within(name)
        except NotReady as error:
            await self._wait_for(self._swap({**self._items, name: known}))
            self._pinned.discard(name)
            raise ControlRefused(error.message) from error

    async def _take_late(self, name: str, found: dict[int, Item]) -> None:
        await super()._take_late(name, found)
        async with self._one_at_a_time:
            with contextlib.suppress(NotReady):  # all that is left was loaded to stay
                await self._keep_within(name)

    async def _load_one(self, key: Key) -> None:
        """Load a version that is waited for. Raises NotReady, Draining."""
        name, version = key
        async with self._one_at_a_time:
            item = self._items.get(name, {}).get(version)
            if item is None or not isinstance(item.trial, OnDemand) or not self._demand.awaited(key):
                return
            await self._make_room(key, self._expected(key, item))
            known = self._items[name]
            began = time.monotonic()
            work = partial(self._stock.demand, name, known, version)
            found = await self._surveys.survey(name, known, work)
            if self._stopped:
                raise Draining("the service is shutting down")
            if found is known or isinstance(found[version].trial, OnDemand):
                raise NotReady(f"{name} version {version} is still being loaded", retry_after_s=1)
            self._serve(name, {**known, version: self._fitting(key, found[version])})
            log.info("%s version %d was loaded on demand in %.2f s", *key, time.monotonic() - began)
            await self._keep_within(name, version)

    def _fitting(self, key: Key, item: Item) -> Item:
        """A version that was loaded, or why it cannot stay."""
        if isinstance(item.trial, Loaded):
            self._took[key] = taken = item.trial.facts.memory_bytes
            if self._bounds.exceeded([taken]):
                return replace(item, trial=self._too_large(key, taken))
        return item

    def _too_large(self, key: Key, taken: int) -> BrokenVersion:
        reason = f"takes {taken:,} bytes of memory; max_memory is {self._bounds.memory_bytes:,}. Raise it."
        log.error("%s version %d is left out: it %s", *key, reason)
        return BrokenVersion(*key, reason)

    def _expected(self, key: Key, item: Item) -> int:
        """What a version will take, by what it took last, else by its weights."""
        folder = version_dir(self._settings.repository, *key)
        manifest = item.trial.manifest if isinstance(item.trial, OnDemand) else None
        return self._took.get(key) or (graph_bytes(folder, manifest) if manifest else 1)

    async def _make_room(self, key: Key, expected: int) -> None:
        """Let go until one more fits that takes so many bytes."""
        await self._let_go_until(lambda taken: not self._bounds.exceeded([*taken, expected]) or not taken, *key)

    async def _keep_within(self, name: str, version: int = 0) -> None:
        """Let others go until what is in memory is within the bounds. version: 0 to spare all that are pinned only."""
        await self._let_go_until(lambda taken: not self._bounds.exceeded(taken), name, version)

    async def _let_go_until(self, fits: Callable[[list[int]], bool], name: str, version: int) -> None:
        while True:
            held = self._held()
            if fits([one.memory_bytes for one in held]):
                return
            victim = self._demand.victim(held, (name, version))
            if victim is None:
                await asyncio.sleep(_MOMENT)  # those who were told of it are on their way
            else:
                await self._let_go(victim)

    async def _let_go(self, key: Key) -> None:
        """Take a version out of memory; returns when its last request is answered."""
        name, version = key
        item = self._items[name][version]
        log.info("%s version %d is let go to make room", *key)
        versions = {**self._items[name], version: replace(item, trial=_resting(item.trial))}
        await self._wait_for(self._swap({**self._items, name: versions}, "evicted"))
        await asyncio.to_thread(give_back)

    async def _wait_for(self, leaving: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*(asyncio.shield(task) for task in leaving))

    def _held(self) -> list[Held]:
        """Every version in memory, its other precisions with it."""
        return [
            self._as_held(name, item.trial)
            for name, versions in self._items.items()
            for item in versions.values()
            if isinstance(item.trial, Loaded)
        ]

    def _as_held(self, name: str, loaded: Loaded) -> Held:
        every = [self.served[one.facts.name, one.facts.version] for one in (loaded, *loaded.beside)]
        return Held(
            (name, loaded.facts.version),
            loaded.facts.memory_bytes,
            max(one.used for one in every),
            any(one.busy for one in every),
            any(one.promised for one in every),
            name in self._pinned,
        )


def _resting(trial: Trial) -> Trial:
    if not isinstance(trial, Loaded):
        return trial
    facts = trial.facts
    return OnDemand(facts.name, facts.version, facts.manifest, facts.policy.deadline_ms / 1000)
