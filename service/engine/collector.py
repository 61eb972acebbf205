"""What is read of the engine at a scrape: which versions serve, what waits, what the batchers counted."""

from collections.abc import Callable, Iterable
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
    batchers: dict[tuple[str, int], BatchStatistics]
    in_flight: int


_COUNTS = {
    "images": ("harmonic_images", "Images that went through the model."),
    "rejected": ("harmonic_rejected", "Requests refused because the queue was full."),
    "expired": ("harmonic_expired", "Requests whose deadline passed."),
    "departed": ("harmonic_cancelled", "Requests whose caller left before the answer."),
    "failed_calls": ("harmonic_failed_calls", "Model calls that raised, or gave nothing that is an answer."),
}


class StateCollector(Collector):
    """Reads the state whenever somebody scrapes."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def describe(self) -> Iterable[Metric]:
        return []  # nothing can be read before the service has started

    def collect(self) -> Iterable[Metric]:
        state = self._state()
        catalog, statistics = state.catalog, state.batchers
        build = GaugeMetricFamily(
            "harmonic_build_info", "Always 1; the label says which build this is.", labels=["build"]
        )
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily(
            "harmonic_requests_in_flight", "Requests let in and not yet answered.", value=state.in_flight
        )
        ready = GaugeMetricFamily(
            "harmonic_model_ready",
            "1 for a version that serves, 0 for one that is left out.",
            labels=[*LABELS, "provider"],
        )
        for served in catalog.ready:
            ready.add_metric([served.name, str(served.version), served.provider], 1)
        for broken in catalog.broken:
            ready.add_metric([broken.name, str(broken.version), ""], 0)
        yield ready
        waiting = GaugeMetricFamily(
            "harmonic_queue_images", "Images admitted and not yet in a model call.", labels=LABELS
        )
        for (name, version), counts in statistics.items():
            waiting.add_metric([name, str(version)], counts.waiting)
        yield waiting
        limits = GaugeMetricFamily(
            "harmonic_queue_limit_images", "How many images may wait; one more is refused.", labels=LABELS
        )
        for served in catalog.ready:
            limits.add_metric([served.name, str(served.version)], served.policy.max_queue)
        yield limits
        unsound = GaugeMetricFamily(
            "harmonic_unsound_instances",
            "Instances that take no work: their calls fail, hang or ended.",
            labels=LABELS,
        )
        for (name, version), counts in statistics.items():
            unsound.add_metric([name, str(version)], counts.unsound_instances)
        yield unsound
        for field, (metric, text) in _COUNTS.items():
            counter = CounterMetricFamily(metric, text, labels=LABELS)
            for (name, version), counts in statistics.items():
                counter.add_metric([name, str(version)], getattr(counts, field))
            yield counter
