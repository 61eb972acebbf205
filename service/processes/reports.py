"""What each process reports of itself, and several reports as one. Plain values, which travel as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter

from service.batching import BatchStatistics
from service.engine import BrokenVersion, Catalog, OnDemand, VersionFacts
from service.telemetry import Family, Figures, add_up, lasting, without_versions

Key = tuple[str, int]  # a version: its model's name, its number
Counts = dict[Key, BatchStatistics]
Totals = dict[Key, Figures]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A version in one process. reason: why it is left out there; empty where it serves."""

    name: str
    version: int
    reason: str
    instances: int = 0
    max_queue: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One process at one moment. worker: its number; 0 for those that have ended, and for the supervisor. called: by
    which name people know it, where that is not its number."""

    worker: int = 0
    entries: tuple[Entry, ...] = ()
    in_flight: int = 0
    counts: tuple[tuple[str, int, BatchStatistics], ...] = ()
    totals: tuple[tuple[str, int, Figures], ...] = ()
    families: tuple[Family, ...] = ()
    called: str = ""

    def as_facts(self) -> dict[str, Any]:
        """As it travels."""
        facts: dict[str, Any] = _REPORT.dump_python(self, mode="json")
        return facts

    def lasting(self) -> "Report":
        """What remains true of a process that has ended: what it counted."""
        counts = ((*key, replace(found, waiting=0, unsound_instances=0)) for *key, found in self.counts)
        return Report(counts=tuple(counts), totals=self.totals, families=lasting(self.families))  # type: ignore[arg-type]

    def and_also(self, other: "Report") -> "Report":
        """Two reports of processes that have ended as one."""
        counts, totals = counts_of((self, other)), totals_of((self, other))
        return Report(
            counts=tuple((*key, found) for key, found in counts.items()),
            totals=tuple((*key, found) for key, found in totals.items()),
            families=add_up((self.families, other.families)),
        )

    def of_versions(self, served: set[Key]) -> "Report":
        """Without what it tells of versions that serve no longer."""
        return replace(
            self,
            counts=tuple(one for one in self.counts if one[:2] in served),
            totals=tuple(one for one in self.totals if one[:2] in served),
            families=without_versions(self.families, {(name, str(version)) for name, version in served}),
        )


_REPORT = TypeAdapter(Report)


def read_report(facts: Mapping[str, Any]) -> Report:
    """A report that has travelled."""
    return _REPORT.validate_python(facts)


def entries_of(catalog: Catalog) -> tuple[Entry, ...]:
    """A catalog as others need to know it."""
    ready = (Entry(one.name, one.version, "", one.instances, one.policy.max_queue) for one in catalog.ready)
    return (*ready, *(Entry(one.name, one.version, one.reason) for one in catalog.broken))


def counts_of(reports: Iterable[Report]) -> Counts:
    """The batchers' counts of all these processes together."""
    return _sums((name, version, found) for report in reports for name, version, found in report.counts)


def totals_of(reports: Iterable[Report]) -> Totals:
    """What became of the requests of all these processes together."""
    return _sums((name, version, found) for report in reports for name, version, found in report.totals)


def overall(facts: VersionFacts, others: Iterable[Report]) -> VersionFacts:
    """A version as the whole service has it: the instances and the queue of all."""
    same = [
        entry
        for report in others
        for entry in report.entries
        if (entry.name, entry.version) == (facts.name, facts.version)
    ]
    serving = [entry for entry in same if not entry.reason]
    queue = facts.policy.max_queue + sum(entry.max_queue for entry in serving)
    return replace(
        facts,
        instances=facts.instances + sum(entry.instances for entry in serving),
        policy=replace(facts.policy, max_queue=queue),
    )


def one_catalog(here: Catalog, others: Iterable[Report]) -> Catalog:
    """The catalog of the whole service: a version is ready if it is in every process that has it."""
    others = tuple(others)
    ready, broken = [], list(here.broken)
    for facts in here.ready:
        if reason := _reason(facts, others):
            broken.append(BrokenVersion(facts.name, facts.version, reason))
        else:
            ready.append(overall(facts, others))
    waiting = (replace(one, remark=_elsewhere(one, others)) for one in here.on_demand)
    return replace(here, ready=tuple(ready), broken=tuple(broken), on_demand=tuple(waiting))


def _elsewhere(waiting: OnDemand, others: Iterable[Report]) -> str:
    key = (waiting.name, waiting.version)
    number = sum(key == (one.name, one.version) and not one.reason for other in others for one in other.entries)
    return f"in memory of {number} other worker{'s' * (number > 1)}" if number else ""


def _reason(facts: VersionFacts, others: Iterable[Report]) -> str:
    for report in others:
        for entry in report.entries:
            if (entry.name, entry.version) == (facts.name, facts.version) and entry.reason:
                return (
                    f"in {f'replica {report.called}' if report.called else f'worker {report.worker}'}: {entry.reason}"
                )
    return ""


def _sums(found: Iterable[tuple[str, int, T]]) -> dict[Key, T]:
    sums: dict[Key, T] = {}
    for name, version, one in found:
        key = (name, version)
        sums[key] = _plus(sums[key], one) if key in sums else one
    return sums


def _plus(one: Any, other: Any, field: str = "") -> Any:
    """Counts, field by field and entry by entry; the later of two moments."""
    if is_dataclass(one) and not isinstance(one, type):
        names = [each.name for each in fields(one)]
        return replace(one, **{name: _plus(getattr(one, name), getattr(other, name), name) for name in names})
    if isinstance(one, dict):
        return {
            key: _plus(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in sorted(one.keys() | other.keys())
        }
    return max(one, other) if field.startswith("last_") else one + other
