"""A replica: the service's own app and engine, joined with those of all other replicas by the coordinator.

The app is what `harmonic serve` serves; its queue, batches and refusals are its own. Knows nothing of Ray.
"""

import asyncio
import gc
import logging
from typing import Any

from service.config import Holder, Settings
from service.decoding import quiet_pillow
from service.engine import LocalEngine
from service.errors import NotReady, StartError
from service.handover import Facts, Gone
from service.http import Service, assemble
from service.processes import SharedEngine, keep_telling, obey
from service.ray.link import ReplicaLink
from service.ray.work import Workload
from service.telemetry import Metrics

log = logging.getLogger(__name__)
_MOMENT = 10.0
_FIRST = 1  # what a replica is to itself; the others know it by its name


class _Engine(SharedEngine):
    """One engine of several, which takes its leave when it stops."""

    def __init__(self, local: LocalEngine, metrics: Metrics, link: ReplicaLink, called: str) -> None:
        super().__init__(_FIRST, local, metrics, link, called=called)
        self._way = link
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load and check every model, then join those that serve. Raises what the local engine raises."""
        await super().start()
        if self._telling is None:
            self._telling = asyncio.ensure_future(keep_telling(self, self._way))

    async def stop(self) -> None:
        """Stop now: what still waits is answered with Draining."""
        if self._telling:
            self._telling.cancel()
        await super().stop()
        await self._way.close()


class Replica:
    """One replica. handle: of the coordinator. called: the replica's name. lost: as `ReplicaLink` takes it."""

    def __init__(self, settings: Settings, handle: Any, called: str, lost: tuple[type[Exception], ...]) -> None:
        self._settings = settings
        self._called = called
        self._link = ReplicaLink(handle, called, lost, self._answer, self._join_again)
        self._engine: _Engine | None = None
        self._local: LocalEngine | None = None
        self._work: Workload | None = None

    async def start(self) -> Service:
        """Load the models that the others have. Raises what the engine raises, and StartError without coordinator."""
        quiet_pillow()
        try:
            orders = await self._link.join()
        except TimeoutError:
            raise StartError("the coordinator of the replicas does not answer; its log may say why.") from None
        settings = self._settings.model_copy(update={"load_models": orders["load_models"]})
        service = assemble(settings, self._make, self._take)
        try:
            await service.engine.start()
        except Exception:
            await self._link.close()
            raise
        gc.collect()
        gc.freeze()  # models and modules live as long as the process: no collection need look at them again
        return service

    def check(self) -> None:
        """Raise if only a new process may mend what is broken here."""
        if self._local is None or not self._local.alive():
            raise RuntimeError(f"replica {self._called} is beyond help, and is to be replaced; /v1/models said why")

    def measure(self) -> dict[str, float]:
        """How much there is to do here, for whoever decides how many replicas there are."""
        return self._work.measure() if self._work else {}

    def _make(self, settings: Settings, metrics: Metrics) -> _Engine:
        self._local = LocalEngine(settings, metrics, led=True)
        self._work = Workload(self._local)
        self._engine = _Engine(self._local, metrics, self._link, self._called)
        return self._engine

    async def _answer(self, what: str, facts: Facts) -> Facts:
        if self._engine is None:
            raise NotReady("this replica has not begun")
        return await obey(self._engine, self._link, what, facts)

    async def _join_again(self) -> None:
        if self._engine is not None:
            await self._engine.join_again()

    async def _take(self, holder: Holder) -> float:
        """Count a request of a key's limit, which holds for all replicas together."""
        try:
            facts = await self._link.ask("take", _MOMENT, key=holder.key.name)
        except (Gone, TimeoutError):
            raise NotReady("the limits of keys cannot be looked up now", retry_after_s=1) from None
        return float(facts["wait_s"])
