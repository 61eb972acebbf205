"""What is read of an engine at a scrape: which versions serve, what waits, what the batchers counted."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from harmonic import __version__
from service.batching import BatchStatistics
from service.engine.catalog import Catalog
from service.telemetry import LABELS


@dataclass(frozen=True, slots=True)
class State:
    """What is read at a scrape."""

    catalog: Catalog
    batchers: Mapping[tuple[str, int], BatchStatistics]
    in_flight: int


Sample = tuple[tuple[str, ...], float]  # the values of the labels, and the figure


@dataclass(frozen=True, slots=True)
class _Row:
    """One metric. counts: it only rises."""

    name: str
    text: str
    labels: tuple[str, ...]
    samples: Callable[[State], Iterable[Sample]]
    counts: bool = False

    def read(self, state: State) -> Metric:
        family = (CounterMetricFamily if self.counts else GaugeMetricFamily)(self.name, self.text, labels=self.labels)
        for labels, figure in self.samples(state):
            family.add_metric(labels, figure)
        return family


def _ready(state: State) -> Iterator[Sample]:
    for facts in state.catalog.ready:
        yield (facts.name, str(facts.version), facts.provider), 1
    for broken in state.catalog.broken:
        yield (broken.name, str(broken.version), ""), 0


def _memory(state: State) -> Iterator[Sample]:
    for facts in state.catalog.ready:
        if facts.memory_bytes:
            yield (facts.name, str(facts.version)), facts.memory_bytes


def _shares(state: State) -> Iterator[Sample]:
    for split in state.catalog.splits:
        for version, share in split.in_force(state.catalog.answering(split.model)).items():
            yield (split.model, str(version)), share


def _limits(state: State) -> Iterator[Sample]:
    for facts in state.catalog.ready:
        yield (facts.name, str(facts.version)), facts.policy.max_queue


def _each(figure: Callable[[BatchStatistics], float]) -> Callable[[State], Iterable[Sample]]:
    return lambda state: (((name, str(number)), figure(found)) for (name, number), found in state.batchers.items())


_ROWS = (
    _Row(
        "harmonic_build_info",
        "Always 1; the label says which build this is.",
        ("build",),
        lambda _: [((__version__,), 1)],
    ),
    _Row(
        "harmonic_requests_in_flight",
        "Requests let in and not yet answered.",
        (),
        lambda state: [((), state.in_flight)],
    ),
    _Row(
        "harmonic_model_ready",
        "1 for a version that serves, 0 for one that is left out.",
        (*LABELS, "provider"),
        _ready,
    ),
    _Row(
        "harmonic_model_on_demand",
        "1 for a version that is not in memory and is loaded by the next request for it.",
        LABELS,
        lambda state: (((one.name, str(one.version)), 1) for one in state.catalog.on_demand),
    ),
    _Row(
        "harmonic_model_memory_bytes",
        "Memory that loading a version took, where versions are loaded on demand.",
        LABELS,
        _memory,
    ),
    _Row(
        "harmonic_split_share",
        "Share of the requests that name no version which a version has now; 0 for one that was taken out.",
        LABELS,
        _shares,
    ),
    _Row(
        "harmonic_canary_taken_out",
        "1 for a version of a split that did worse than it may, and was taken out.",
        LABELS,
        lambda state: (((one.model, str(version)), 1) for one in state.catalog.splits for version, _ in one.out),
    ),
    _Row(
        "harmonic_queue_images",
        "Images admitted and not yet in a model call.",
        LABELS,
        _each(lambda found: found.waiting),
    ),
    _Row("harmonic_queue_limit_images", "How many images may wait; one more is refused.", LABELS, _limits),
    _Row(
        "harmonic_unsound_instances",
        "Instances that take no work: their calls fail, hang or ended.",
        LABELS,
        _each(lambda found: found.unsound_instances),
    ),
    _Row("harmonic_images", "Images that went through the model.", LABELS, _each(lambda found: found.images), True),
    _Row(
        "harmonic_rejected",
        "Requests refused because the queue was full.",
        LABELS,
        _each(lambda found: found.rejected),
        True,
    ),
    _Row("harmonic_expired", "Requests whose deadline passed.", LABELS, _each(lambda found: found.expired), True),
    _Row(
        "harmonic_cancelled",
        "Requests whose caller left before the answer.",
        LABELS,
        _each(lambda found: found.cancelled),
        True,
    ),
    _Row(
        "harmonic_failed_calls",
        "Model calls that raised, or gave nothing that is an answer.",
        LABELS,
        _each(lambda found: found.failed_calls),
        True,
    ),
)


class StateCollector(Collector):
    """Reads the state whenever somebody scrapes."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def describe(self) -> Iterable[Metric]:
        return []  # nothing can be read before the service has started

    def collect(self) -> Iterable[Metric]:
        state = self._state()
        return [row.read(state) for row in _ROWS]
