"""Where the repository is a store, its folder here is kept up to date while the service runs, in a thread of its own.

The rest of the service knows the folder alone: what comes into it is found by whoever follows the repository. A store
that is away changes nothing of what serves.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from export.stores import Look, Mirror, open_store, read_address
from service.config import PlanError, Settings, plan, read_plan
from service.errors import StartError

log = logging.getLogger(__name__)
_STOP_SECONDS = 0.2


class Mirroring(Collector):
    """settings: with a store. served: the versions that answer now, by model and number; they are not removed."""

    def __init__(self, settings: Settings, served: Callable[[], Collection[tuple[str, int]]] = tuple) -> None:
        self._settings = settings
        self._served = served
        self._look = Look()
        self._counts = {"brought": 0, "refused": 0, "removed": 0}
        self._looked = threading.Event()  # once at least
        self._told_to_stop = threading.Event()
        self._thread: threading.Thread | None = None

    async def begin(self) -> None:
        """Bring what is to be served; from then on follow the store, where the repository is followed.

        Where the store is away, the copy of an earlier start serves. Raises StoreError or RepositoryError for a store
        or a folder that will not do, StartError where there is nothing to serve and nothing will come.
        """
        settings = self._settings
        mirror = await asyncio.to_thread(self._mirror)
        log.info("the repository is %s, copied to %s", settings.store, settings.repository)
        self._thread = threading.Thread(target=self._keep, args=(mirror,), name="store", daemon=True)
        self._thread.start()
        end = time.monotonic() + settings.store_seconds
        while not self._looked.is_set() and time.monotonic() < end and not self._told_to_stop.is_set():
            await asyncio.to_thread(self._looked.wait, _STOP_SECONDS)
        if await asyncio.to_thread(mirror.has_versions):
            return
        reason = self._look.away or "no version of it could be taken; the lines above say why"
        if settings.model_control == "none":
            raise StartError(f"{reason}. There is no copy of an earlier start, and nothing follows the store.")
        log.warning("there is nothing to serve yet: %s", reason)

    def stop(self) -> None:
        """Follow the store no more. A transfer that is under way ends with the process."""
        self._told_to_stop.set()

    def collect(self) -> list[Metric]:
        """What is told at a scrape."""
        up = GaugeMetricFamily("harmonic_store_up", "1 if the last look at the store of the repository had an answer.")
        used = GaugeMetricFamily("harmonic_store_bytes", "Bytes of the copy of the store's repository.")
        changes = CounterMetricFamily(
            "harmonic_store_versions", "Versions that came from the store, were refused, or left.", labels=("result",)
        )
        up.add_metric((), 0 if self._look.away or not self._looked.is_set() else 1)
        used.add_metric((), self._look.used)
        for result, number in self._counts.items():
            changes.add_metric((result,), number)
        return [up, used, changes]

    def describe(self) -> list[Metric]:
        """Names alone: nothing is asked of the store for them."""
        return self.collect()

    def _mirror(self) -> Mirror:
        """Blocking: the libraries of stores are large."""
        settings = self._settings
        store = open_store(read_address(settings.store or ""), settings.store_seconds)
        mirror = Mirror(
            store, settings.repository, settings.store_bytes, self._choose, self._served, settings.poll_seconds
        )
        mirror.own()
        return mirror

    def _choose(self, name: str, present: list[int]) -> list[int]:
        """Those that may serve; of the newest so many one more, so that one takes the place of a bad one."""
        try:
            policy = read_plan(self._settings.repository, name, self._settings).versions
        except PlanError:  # whoever loads the model says so
            policy = plan(self._settings, name).versions
        wanted = [number for number in policy.order(present) if number in present]
        return wanted if policy.newest is None else wanted[: policy.newest + 1]

    def _keep(self, mirror: Mirror) -> None:
        while not self._told_to_stop.is_set():
            try:
                self._note(mirror.look())
            except Exception:  # the edge of the thread: the next look may go better
                log.exception("looking at the store")
            self._looked.set()
            if self._settings.model_control == "none":
                return
            self._told_to_stop.wait(self._settings.poll_seconds)

    def _note(self, look: Look) -> None:
        if look.away and look.away != self._look.away:
            log.warning("the store is away, and what was copied serves: %s", look.away)
        elif self._look.away and not look.away:
            log.info("the store answers again")
        for result in self._counts:
            self._counts[result] += len(getattr(look, result))
        self._look = look
