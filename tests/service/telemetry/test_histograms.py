"""What is counted as plain numbers is written as the client library writes its own histograms."""

import re

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from service.telemetry.histograms import LoopHistogram

BOUNDS = (0.0005, 0.25, 1, 30)
VALUES = (0.0, 0.0005, 0.00051, 0.25, 0.3, 1, 29.9, 31, 1000)


def written(registry: CollectorRegistry) -> str:
    """What a scrape sees, without the times at which series began."""
    return re.sub(r"(_created\{[^}]*\}) \S+", r"\1 T", generate_latest(registry).decode())


def test_a_scrape_sees_what_the_client_library_would_write():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    for histogram in (
        LoopHistogram("seconds", "Seconds.", ("model", "version"), BOUNDS, ours),
        Histogram("seconds", "Seconds.", ("model", "version"), buckets=BOUNDS, registry=theirs),
    ):
        for value in VALUES:
            histogram.labels("a", "1").observe(value)
        histogram.labels("a", "2").observe(2)
        histogram.labels("b", "1").observe(2)
        histogram.remove("a", "2")
        histogram.labels("empty", "1")
    assert written(ours) == written(theirs)
    assert 'seconds_bucket{le="0.25",model="a",version="1"} 4.0' in written(ours)
