"""Which versions in service take work, as of the last look at their instances."""

import logging
from collections.abc import Mapping

from service.batching import InstanceHealth
from service.engine.catalog import BrokenVersion
from service.engine.loading import Loaded, Trial, facts_of
from service.engine.visit import Served

log = logging.getLogger(__name__)
Key = tuple[str, int]


class Soundness:
    """What became of the instances of each version since it was loaded."""

    def __init__(self) -> None:
        self._healths: dict[Key, InstanceHealth] = {}

    def look(self, served: Mapping[Key, Served]) -> bool:
        """Look at all of them; True if something is otherwise than it was."""
        before, now = self._healths, _healths(served)
        self._healths = now
        for key, health in now.items():
            _tell(key, before.get(key, health), health)
        return now != before

    def renew(self, served: Mapping[Key, Served]) -> None:
        """Look at all of them, now that others serve."""
        self._healths = _healths(served)

    def lost(self) -> list[Key]:
        """Those with an instance that only a new process may mend, whatever the others do."""
        return [key for key, health in self._healths.items() if not health.alive]

    def as_it_is(self, trial: Trial) -> Trial:
        """A version as it was loaded, or what its instances have made of it since."""
        facts = facts_of(trial)
        health = self._healths.get((facts.name, facts.version))
        if not isinstance(trial, Loaded) or health is None or health.sound == health.instances:
            return trial
        if not health.sound:
            return BrokenVersion(facts.name, facts.version, health.trouble, not health.alive)
        remark = f"{health.sound} of {health.instances} instances take work: {health.trouble}"
        return trial.remarked(f"{trial.facts.remark}; {remark}" if trial.facts.remark else remark)


def _healths(served: Mapping[Key, Served]) -> dict[Key, InstanceHealth]:
    return {key: one.batcher.health() for key, one in served.items()}


def _tell(key: Key, before: InstanceHealth, now: InstanceHealth) -> None:
    if now.trouble and now != before:
        log.error("%s version %d: %d of %d instances take work: %s", *key, now.sound, now.instances, now.trouble)
    elif before.trouble and not now.trouble:
        log.warning("%s version %d answers again", *key)
