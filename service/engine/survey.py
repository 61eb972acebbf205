"""What the repository has for one model, held against what is loaded of it. Blocking; for a thread.

A version is loaded and tried before anything that serves is given up, and what serves is given up only for something
better: a bad new version leaves the old one, with the reason on record.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from export.errors import ExportError
from export.manifest import MANIFEST, read_manifest
from export.repository import version_dir, versions
from service.config import Plan, PlanError, Settings, read_plan
from service.engine.catalog import BrokenVersion, OnDemand
from service.engine.loading import Loaded, Trial, load_version, trouble_of
from service.engine.memory import resident_bytes, taken_by
from service.engine.reasons import within
from service.errors import NotReady
from service.runtime import Placement

log = logging.getLogger(__name__)
Stamp = tuple[tuple[str, int, int, int], ...]  # of each file: name, bytes, nanoseconds of its last change, inode


@dataclass(frozen=True, slots=True)
class Item:
    """A version as it was last tried. stamp: of its folder, before the trial; plan: what it was loaded for."""

    trial: Trial
    stamp: Stamp
    plan: Plan | None


Items = Mapping[int, Item]
Wanted = frozenset[int] | None  # versions that are to be in memory; None for every one that counts


class Stock:
    """Surveys models of the configured repository, and of no other place. processes: how many share the queues."""

    def __init__(self, settings: Settings, placement: Placement, processes: int = 1) -> None:
        self._settings = settings
        self._root = settings.repository
        self._placement = placement
        self._processes = processes

    def survey(self, name: str, known: Items, again: bool = False, wanted: Wanted = None) -> dict[int, Item]:
        """A model's versions as they should be from now on, by number.

        known: what the last survey gave; what did not change is kept. again: try broken versions once more.
        wanted: which to load; the others wait for a request.
        """
        present = [version for version in versions(self._root, name) if self._counts(name, version)]
        try:
            plan = read_plan(self._root, name, self._settings, not self._placement.first.on_cpu)
        except PlanError as error:
            return self._without_plan(name, known, present, error)
        found: dict[int, Item] = {}
        sound = 0
        for version in plan.versions.order(present):
            if plan.versions.enough(sound):
                break
            now = wanted is None or version in wanted
            found[version] = self._item(name, version, known.get(version), plan, again, now)
            sound += not isinstance(found[version].trial, BrokenVersion)
        return found if sound or not present else _kept(known, found)

    def demand(self, name: str, known: Items, version: int) -> dict[int, Item]:
        """The versions that are known, with one of them loaded that waited for a request.

        Raises NotReady while its folder cannot be read: it waits on.
        """
        plan = known[version].plan
        stamp = _stamp(version_dir(self._root, name, version))
        if plan is None or not stamp:
            raise NotReady(f"the folder of {name} version {version} cannot be read now", retry_after_s=5)
        return {**known, version: Item(self._loaded(name, version, plan), stamp, plan)}

    def unfinished(self, name: str, known: Items, reason: str) -> dict[int, Item]:
        """A model's versions while a survey of it has not ended: what serves, serves, and the others wait for it."""
        present = {version for version in versions(self._root, name) if self._counts(name, version)} - known.keys()
        return {**known, **{version: Item(BrokenVersion(name, version, reason), (), None) for version in present}}

    def _item(self, name: str, version: int, old: Item | None, plan: Plan, again: bool, now: bool) -> Item:
        stamp = _stamp(version_dir(self._root, name, version))
        asked = now and old is not None and isinstance(old.trial, OnDemand)
        if old and (old.stamp, old.plan) == (stamp, plan) and not asked and not (again and trouble_of(old.trial)):
            return old
        trial = self._loaded(name, version, plan) if now or not stamp else self._on_demand(name, version, plan)
        if isinstance(trial, BrokenVersion) and old and isinstance(old.trial, Loaded):
            trial = old.trial.remarked(f"serves as it was loaded; what lies there now: {trial.reason}")
        return Item(trial, stamp, plan)

    def _loaded(self, name: str, version: int, plan: Plan) -> Trial:
        before = resident_bytes() if self._settings.bounds() else 0
        policy = plan.policy.shared_by(self._processes)
        trial = load_version(self._root, name, version, self._placement, policy, plan.instances, plan.running)
        if isinstance(trial, Loaded) and self._settings.bounds():
            taken = taken_by(trial.facts, version_dir(self._root, name, version), before)
            return replace(trial, facts=replace(trial.facts, memory_bytes=taken))
        return trial

    def _on_demand(self, name: str, version: int, plan: Plan) -> Trial:
        """A version that waits for a request; what is wrong beyond its manifest shows when it is loaded."""
        try:
            manifest = read_manifest(version_dir(self._root, name, version))
        except ExportError as error:
            return BrokenVersion(name, version, within(self._root, str(error)))
        return OnDemand(name, version, manifest, plan.policy.deadline_ms / 1000)

    def _counts(self, name: str, version: int) -> bool:
        """False for a folder without a manifest while we poll: it is being copied, or never was a version."""
        polling = self._settings.model_control == "poll"
        return not polling or (version_dir(self._root, name, version) / MANIFEST).is_file()

    def _without_plan(self, name: str, known: Items, present: list[int], error: PlanError) -> dict[int, Item]:
        """A configuration that cannot be followed changes nothing of what serves."""
        reason = within(self._root, error.message)
        if not any(trouble_of(item.trial) == reason for item in known.values()):  # once, not at every look
            log.error("%s: %s", name, error.message)
        found = {version: Item(BrokenVersion(name, version, reason), (), None) for version in present}
        return found | {
            version: Item(item.trial.remarked(reason), (), None)
            for version, item in known.items()
            if isinstance(item.trial, Loaded)
        }


def trials(items: dict[str, dict[int, Item]]) -> list[Trial]:
    """Every version, and other precisions beside it."""
    trials = [item.trial for versions in items.values() for item in versions.values()]
    return [*trials, *(other for trial in trials if isinstance(trial, Loaded) for other in trial.beside)]


def serves(item: Item) -> bool:
    """True for a version in memory."""
    return isinstance(item.trial, Loaded)


def without(items: dict[str, dict[int, Item]], name: str) -> dict[str, dict[int, Item]]:
    """All models but one."""
    return {other: versions for other, versions in items.items() if other != name}


def _kept(known: Items, found: dict[int, Item]) -> dict[int, Item]:
    """Where no sound version is left, those that served go on, though their folders are gone."""
    return found | {
        version: replace(item, trial=item.trial.remarked("its folder is gone, and nothing sound replaces it"))
        for version, item in known.items()
        if isinstance(item.trial, Loaded) and version not in found
    }


def _stamp(folder: Path) -> Stamp:
    """What changes whenever the folder does; empty if it is not there."""
    try:
        found = [(path.name, path.stat()) for path in folder.iterdir()]
    except OSError:  # it goes away while we look
        return ()
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in found))
