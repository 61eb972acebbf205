"""The service's Prometheus metrics. docs/observability.md is held to this file by a test.

What happens to a request is observed as it happens; what the batchers count anyway is read when somebody scrapes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from harmonic import __version__
from service.batcher import BatchStatistics
from service.catalog import Catalog

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_LABELS = ("model", "version")


@dataclass(frozen=True, slots=True)
class VersionMetrics:
    """The children of one version, looked up once."""

    batch_size: Histogram
    inference: Histogram
    decode: Histogram
    queue: Histogram
    total: Histogram

    def observe_batch(self, images: int, seconds: float) -> None:
        """Note one model call."""
        self.batch_size.observe(images)
        self.inference.observe(seconds)

    def observe_request(self, decode_s: float, queue_s: float, total_s: float) -> None:
        """Note one request that was answered."""
        self.decode.observe(decode_s)
        self.queue.observe(queue_s)
        self.total.observe(total_s)


@dataclass(frozen=True, slots=True)
class State:
    """What is read at a scrape."""

    catalog: Catalog
    batchers: dict[tuple[str, int], BatchStatistics]
    in_flight: int


class Metrics:
    """Every metric of one service, in a registry that is handed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "harmonic_requests",
            "Requests for an answer of a model; status is the HTTP status.",
            (*_LABELS, "status"),
            registry=registry,
        )
        self._batch_size = Histogram(
            "harmonic_batch_size", "Images in one model call.", _LABELS, buckets=_SIZES, registry=registry
        )
        self._inference = self._seconds("harmonic_inference_seconds", "Seconds of one model call.")
        self._decode = self._seconds(
            "harmonic_decode_seconds", "Seconds from admission until a request's images were decoded and prepared."
        )
        self._queue = self._seconds(
            "harmonic_queue_seconds", "Seconds that a prepared request waited for its model call."
        )
        self._total = self._seconds("harmonic_request_seconds", "Seconds from a request's head to its answer.")
        self._refusals = Counter(
            "harmonic_refusals", "Requests refused before any route saw them.", ("code",), registry=registry
        )
        self._statuses: dict[tuple[str, str], set[str]] = {}
        self._changes = Counter(
            "harmonic_model_changes",
            "Versions that were loaded, refused for not being sound, or retired.",
            ("model", "change"),
            registry=registry,
        )
        ProcessCollector(registry=registry)

    def version(self, model: str, version: int) -> VersionMetrics:
        """The children of one version."""
        labels = (model, str(version))
        histograms = (self._batch_size, self._inference, self._decode, self._queue, self._total)
        return VersionMetrics(*(histogram.labels(*labels) for histogram in histograms))

    def count(self, model: str, version: str, status: int) -> None:
        """Count a classify request; model and version are empty where the request named none that exists."""
        self._statuses.setdefault((model, version), set()).add(str(status))
        self._requests.labels(model, version, str(status)).inc()

    def refused(self, code: str) -> None:
        """Count a request that a key, or the lack of one, its origin or its Host kept out."""
        self._refusals.labels(code).inc()

    def forget(self, model: str, version: int) -> None:
        """Drop every series of a version that serves no longer; its changes stay counted."""
        labels = (model, str(version))
        for histogram in (self._batch_size, self._inference, self._decode, self._queue, self._total):
            histogram.remove(*labels)
        for status in self._statuses.pop(labels, ()):
            self._requests.remove(*labels, status)

    def latencies(self) -> dict[tuple[str, str], list[tuple[float, int]]]:
        """By model and version: bounds in seconds, infinity last, and how many answered requests took no longer."""
        found: dict[tuple[str, str], list[tuple[float, int]]] = {}
        for metric in self._total.collect():
            for sample in metric.samples:
                if sample.name.endswith("_bucket"):
                    labels = sample.labels
                    bucket = float(labels["le"]), int(sample.value)
                    found.setdefault((labels["model"], labels["version"]), []).append(bucket)
        return found

    def changed(self, model: str, change: str) -> None:
        """Count a change of what serves: "loaded", "refused" or "retired"."""
        self._changes.labels(model, change).inc()

    def watch(self, state: "Callable[[], State]") -> None:
        """Read the batchers' counts and the catalog at every scrape."""
        self._registry.register(_Reader(state))

    def exposition(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)

    def _seconds(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, _LABELS, buckets=_SECONDS, registry=self._registry)


_COUNTS = {
    "images": ("harmonic_images", "Images that went through the model."),
    "rejected": ("harmonic_rejected", "Requests refused because the queue was full."),
    "expired": ("harmonic_expired", "Requests whose deadline passed."),
    "departed": ("harmonic_cancelled", "Requests whose caller left before the answer."),
    "failed_calls": ("harmonic_failed_calls", "Model calls that raised, or gave nothing that is an answer."),
}


class _Reader(Collector):
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
            labels=[*_LABELS, "provider"],
        )
        for served in catalog.ready:
            ready.add_metric([served.name, str(served.version), served.provider], 1)
        for broken in catalog.broken:
            ready.add_metric([broken.name, str(broken.version), ""], 0)
        yield ready
        waiting = GaugeMetricFamily(
            "harmonic_queue_images", "Images admitted and not yet in a model call.", labels=_LABELS
        )
        for (name, version), counts in statistics.items():
            waiting.add_metric([name, str(version)], counts.waiting)
        yield waiting
        limits = GaugeMetricFamily(
            "harmonic_queue_limit_images", "How many images may wait; one more is refused.", labels=_LABELS
        )
        for served in catalog.ready:
            limits.add_metric([served.name, str(served.version)], served.policy.max_queue)
        yield limits
        unsound = GaugeMetricFamily(
            "harmonic_unsound_instances",
            "Instances that take no work: their calls fail, hang or ended.",
            labels=_LABELS,
        )
        for (name, version), counts in statistics.items():
            unsound.add_metric([name, str(version)], counts.unsound_instances)
        yield unsound
        for field, (metric, text) in _COUNTS.items():
            counter = CounterMetricFamily(metric, text, labels=_LABELS)
            for (name, version), counts in statistics.items():
                counter.add_metric([name, str(version)], getattr(counts, field))
            yield counter
