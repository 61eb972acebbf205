"""Metrics of several processes as those of one: counters and histograms added up, gauges as each of them wants it.

What travels between processes is plain lists, words and numbers. Knows no process.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]  # its name, its labels, its value

# A service is as ready as the least ready of its processes, and as old as the oldest.
_LEAST = {"harmonic_model_ready", "harmonic_split_share", "process_start_time_seconds"}
_SAME = {"harmonic_canary_taken_out", "harmonic_build_info", "process_max_fds"}
_CREATED = "_created"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples."""

    name: str
    text: str
    kind: str
    samples: tuple[Sample, ...]

    def metric(self) -> Metric:
        """As the client library writes it."""
        made = Metric(self.name, self.text, self.kind)
        for name, labels, value in self.samples:
            made.add_sample(name, dict(labels), value)
        return made


class Families(Collector):
    """What is to be written, as a collector."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return (family.metric() for family in self._families)


def read_families(registry: CollectorRegistry) -> tuple[Family, ...]:
    """Everything that a registry holds now."""
    return tuple(
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            tuple((one.name, tuple(sorted(one.labels.items())), float(one.value)) for one in metric.samples),
        )
        for metric in registry.collect()
    )


def add_up(processes: Iterable[Sequence[Family]]) -> tuple[Family, ...]:
    """The metrics of all processes together, in the order of the first that has each."""
    found: dict[str, list[Family]] = {}
    for families in processes:
        for family in families:
            found.setdefault(family.name, []).append(family)
    return tuple(replace(group[0], samples=_added(group)) for group in found.values())


def side_by_side(label: str, processes: Iterable[tuple[str, Sequence[Family]]]) -> tuple[Family, ...]:
    """The metrics of all processes, not added up: a label more says which of them measured each sample."""
    found: dict[str, list[Family]] = {}
    for name, families in processes:
        for family in families:
            samples = ((what, (*labels, (label, name)), value) for what, labels, value in family.samples)
            found.setdefault(family.name, []).append(replace(family, samples=tuple(samples)))
    return tuple(
        replace(group[0], samples=tuple(one for family in group for one in family.samples)) for group in found.values()
    )


def lasting(families: Sequence[Family]) -> tuple[Family, ...]:
    """What remains true of a process that has ended: what it counted. Gauges told of a moment."""
    return tuple(family for family in families if family.kind in {"counter", "histogram"})


def without_versions(families: Sequence[Family], served: set[tuple[str, str]]) -> tuple[Family, ...]:
    """Without the series of versions that serve no longer. served: model and version of those that do."""

    def stays(sample: Sample) -> bool:
        labels = dict(sample[1])
        version = labels.get("version", "")
        return not version or (labels.get("model", ""), version) in served

    return tuple(replace(family, samples=tuple(filter(stays, family.samples))) for family in families)


def _added(group: Sequence[Family]) -> tuple[Sample, ...]:
    sums: dict[tuple[str, Labels], float] = {}
    for family in group:
        for name, labels, value in family.samples:
            key = (name, labels)
            sums[key] = _both(name, sums[key], value) if key in sums else value
    return tuple((name, labels, value) for (name, labels), value in sums.items())


def _both(name: str, one: float, other: float) -> float:
    if name in _LEAST or name.endswith(_CREATED):
        return min(one, other)
    return max(one, other) if name in _SAME else one + other
