"""How much a replica has to do: the images that wait in it, and the share of its time in which its models compute."""

import time
from collections.abc import Callable

from service.engine import LocalEngine
from service.ray.scaling import BUSY, WAITING

_NS = 1e9


class Workload:
    """Of one engine. clock: steady, in seconds."""

    def __init__(self, engine: LocalEngine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._before: dict[tuple[str, int], float] = {}
        self._looked = clock()

    def measure(self) -> dict[str, float]:
        """As it is now, and was since it was last asked: the busiest version's share counts."""
        now, computed = self._clock(), self._computed()
        past_s = max(now - self._looked, 1e-3)
        busy = max(((seconds - self._before.get(key, 0.0)) / past_s for key, seconds in computed.items()), default=0.0)
        self._before, self._looked = computed, now
        waiting = sum(counts.waiting for counts in self._engine.statistics().values())
        return {WAITING: float(waiting), BUSY: min(1.0, max(0.0, busy))}

    def _computed(self) -> dict[tuple[str, int], float]:
        """Seconds of model calls of each version that is ready, since it was loaded, for each of its instances."""
        instances = {(facts.name, facts.version): facts.instances for facts in self._engine.describe().ready}
        return {
            key: sum(total.ns for total in figures.batches.values()) / _NS / instances[key]
            for key, figures in self._engine.figures().items()
            if key in instances
        }
