"""Histograms of what is measured once a request: plain numbers, added up when somebody scrapes.

For the event loop's thread alone. The client library's own take a lock for each of their parts, from any thread.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Buckets:
    """How many values were at most each bound; the last bound is infinity."""

    __slots__ = ("_bounds", "counts", "created", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.created = time.time()

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class LoopHistogram(Collector):
    """A histogram with labels, as the client library writes its own."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = bounds
        self._children: dict[tuple[str, ...], Buckets] = {}
        registry.register(self)

    def labels(self, *values: str) -> Buckets:
        """The values of these labels."""
        return self._children.setdefault(values, Buckets(self._bounds))

    def remove(self, *values: str) -> None:
        """Drop what was measured with these labels."""
        self._children.pop(values, None)

    def describe(self) -> Iterable[Metric]:
        """Its name, so that no other metric takes it."""
        return [Metric(self._name, self._text, "histogram")]

    def collect(self) -> Iterable[Metric]:
        """Every sample as it is now."""
        metric = Metric(self._name, self._text, "histogram")
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        for values, found in [*self._children.items()]:
            labels = dict(zip(self._labels, values, strict=True))
            sums = [*accumulate(found.counts)]
            for bound, count in zip(bounds, sums, strict=True):
                metric.add_sample(f"{self._name}_bucket", {**labels, "le": bound}, count)
            metric.add_sample(f"{self._name}_count", labels, sums[-1])
            metric.add_sample(f"{self._name}_sum", labels, found.sum)
            metric.add_sample(f"{self._name}_created", labels, found.created)
        return [metric]
