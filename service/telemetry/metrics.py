"""The service's Prometheus metrics. docs/observability.md is held to this file by a test.

What happens to a request is observed as it happens; what the batchers count anyway is read when somebody scrapes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from service.telemetry.exchange import Answered
from service.telemetry.families import Families, Family, add_up, read_families
from service.telemetry.histograms import Buckets, LoopHistogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_TOTAL = "harmonic_request_seconds"
LABELS = ("model", "version")


@dataclass(frozen=True, slots=True)
class VersionMetrics:
    """The children of one version, looked up once."""

    batch_size: Histogram
    inference: Histogram
    decode: Buckets
    queue: Buckets
    total: Buckets

    def observe_batch(self, images: int, seconds: float) -> None:
        """Note one model call."""
        self.batch_size.observe(images)
        self.inference.observe(seconds)

    def observe_request(self, answered: Answered) -> None:
        """Note one request that was answered."""
        self.decode.observe(answered.decode_s)
        self.queue.observe(answered.queue_s)
        self.total.observe(answered.total_s)


class Metrics:
    """Every metric of one service, in a registry that is handed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._elsewhere: Callable[[], Sequence[Family]] | None = None
        self._written: Callable[[], Sequence[Family]] | None = None
        self._requests = Counter(
            "harmonic_requests",
            "Requests for an answer of a model; status is the HTTP status.",
            (*LABELS, "status"),
            registry=registry,
        )
        self._batch_size = Histogram(
            "harmonic_batch_size", "Images in one model call.", LABELS, buckets=_SIZES, registry=registry
        )
        self._inference = self._seconds("harmonic_inference_seconds", "Seconds of one model call.")
        self._decode = self._of_requests(
            "harmonic_decode_seconds", "Seconds from admission until a request's images were decoded and prepared."
        )
        self._queue = self._of_requests(
            "harmonic_queue_seconds", "Seconds that a prepared request waited for its model call."
        )
        self._total = self._of_requests(_TOTAL, "Seconds from a request's head to its answer.")
        self._refusals = Counter(
            "harmonic_refusals", "Requests refused before any route saw them.", ("code",), registry=registry
        )
        self._counts: dict[tuple[str, str, int], Counter] = {}
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
        return VersionMetrics(
            self._batch_size.labels(*labels),
            self._inference.labels(*labels),
            self._decode.labels(*labels),
            self._queue.labels(*labels),
            self._total.labels(*labels),
        )

    def count(self, model: str, version: str, status: int) -> None:
        """Count a classify request; model and version are empty where the request named none that exists."""
        counter = self._counts.get((model, version, status))
        if counter is None:
            counter = self._counts[model, version, status] = self._requests.labels(model, version, str(status))
        counter.inc()

    def refused(self, code: str) -> None:
        """Count a request that a key, or the lack of one, its origin or its Host kept out."""
        self._refusals.labels(code).inc()

    def forget(self, model: str, version: int) -> None:
        """Drop every series of a version that serves no longer; its changes stay counted."""
        labels = (model, str(version))
        for histogram in (self._batch_size, self._inference, self._decode, self._queue, self._total):
            histogram.remove(*labels)
        for key in [key for key in self._counts if key[:2] == labels]:
            del self._counts[key]
            self._requests.remove(*labels, str(key[2]))

    def latencies(self) -> dict[tuple[str, str], list[tuple[float, int]]]:
        """By model and version: bounds in seconds, infinity last, and how many answered requests took no longer."""
        found: dict[tuple[str, str], list[tuple[float, int]]] = {}
        for family in self.everywhere():
            if family.name != _TOTAL:
                continue
            for name, pairs, value in family.samples:
                if name.endswith("_bucket"):
                    labels = dict(pairs)
                    bucket = float(labels["le"]), int(value)
                    found.setdefault((labels["model"], labels["version"]), []).append(bucket)
        return found

    def changed(self, model: str, change: str) -> None:
        """Count a change of what serves: "loaded", "refused" or "retired"."""
        self._changes.labels(model, change).inc()

    def watch(self, collector: Collector) -> None:
        """Ask a collector too at every scrape."""
        self._registry.register(collector)

    def include(
        self, elsewhere: Callable[[], Sequence[Family]], written: Callable[[], Sequence[Family]] | None = None
    ) -> None:
        """Add what other processes of the service have measured to what is told of this one.

        written: what the exposition shows; None for the sums.
        """
        self._elsewhere, self._written = elsewhere, written

    def here(self) -> tuple[Family, ...]:
        """What this process has measured."""
        return read_families(self._registry)

    def everywhere(self) -> tuple[Family, ...]:
        """What every process of the service has measured."""
        return add_up((self.here(), self._elsewhere())) if self._elsewhere else self.here()

    def exposition(self) -> bytes:
        """Prometheus text format."""
        if self._elsewhere is None:
            return generate_latest(self._registry)
        return generate_latest(Families(self._written() if self._written else self.everywhere()))

    def _of_requests(self, name: str, text: str) -> LoopHistogram:
        """Observed once a request, on the loop."""
        return LoopHistogram(name, text, LABELS, _SECONDS, self._registry)

    def _seconds(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, LABELS, buckets=_SECONDS, registry=self._registry)
