"""What processes report, and several reports as one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from export.manifest import read_manifest
from service.batching import BatchPolicy, BatchStatistics
from service.engine import BrokenVersion, Catalog, VersionFacts
from service.processes.reports import Entry, Report, counts_of, one_catalog, overall, read_report, totals_of
from service.telemetry import Family, Figures, Total, add_up, lasting, read_families, side_by_side, without_versions
from service.telemetry.families import Families

COUNTS = BatchStatistics(
    waiting=1, calls=2, images=3, rejected=4, expired=5, cancelled=6, failed_calls=7, unsound_instances=1
)
FIGURES = Figures(success=Total(2, 20), images=5, last_ms=100, batches={1: Total(1, 10), 4: Total(1, 30)})


def measured(requests: int, queue: int) -> tuple[Family, ...]:
    registry = CollectorRegistry()
    counter = Counter("harmonic_requests", "Requests.", ("model", "version"), registry=registry)
    counter.labels("colours", "1").inc(requests)
    Gauge("harmonic_queue_images", "Waiting.", ("model", "version"), registry=registry).labels("colours", "1").set(
        queue
    )
    Gauge("harmonic_model_ready", "Ready.", ("model", "version"), registry=registry).labels("colours", "1").set(
        queue > 1
    )
    Gauge("harmonic_build_info", "Build.", ("build",), registry=registry).labels("1").set(1)
    seconds = Histogram("harmonic_request_seconds", "Seconds.", ("model", "version"), buckets=(1, 2), registry=registry)
    for _ in range(requests):
        seconds.labels("colours", "1").observe(1.5)
    return read_families(registry)


def report(worker: int = 1, **more: object) -> Report:
    made = Report(worker, (), 2, (("colours", 1, COUNTS),), (("colours", 1, FIGURES),), measured(3, 2))
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_report_travels_whole() -> None:
    entries = (Entry("colours", 1, "", 2, 128), Entry("colours", 2, "goldens differ"))
    sent = report(entries=entries)
    assert read_report(sent.as_facts()) == sent


def test_counts_add_up_field_by_field_and_the_last_moment_is_the_later_one() -> None:
    later = replace(FIGURES, last_ms=300, batches={4: Total(2, 5), 8: Total(1, 7)})
    both = (report(), report(2, totals=(("colours", 1, later), ("cats", 3, later))))
    counts = counts_of(both)["colours", 1]
    assert (counts.waiting, counts.calls, counts.images, counts.failed_calls) == (2, 4, 6, 14)
    totals = totals_of(both)
    found = totals["colours", 1]
    assert (found.success, found.images, found.last_ms) == (Total(4, 40), 10, 300)
    assert found.batches == {1: Total(1, 10), 4: Total(3, 35), 8: Total(1, 7)}
    assert totals["cats", 3] == later


def test_metrics_of_two_processes_are_one_exposition() -> None:
    lines = generate_latest(Families(add_up((measured(3, 2), measured(4, 1))))).decode().splitlines()
    labels = '{model="colours",version="1"}'
    assert f"harmonic_requests_total{labels} 7.0" in lines
    assert f"harmonic_queue_images{labels} 3.0" in lines
    assert f"harmonic_model_ready{labels} 0.0" in lines  # the one process is not
    assert 'harmonic_build_info{build="1"} 1.0' in lines
    assert 'harmonic_request_seconds_bucket{le="2.0",model="colours",version="1"} 7.0' in lines
    assert 'harmonic_request_seconds_bucket{le="1.0",model="colours",version="1"} 0.0' in lines
    assert f"harmonic_request_seconds_count{labels} 7.0" in lines
    assert len(lines) == len(set(lines))


def test_what_a_process_counted_stays_when_it_has_ended_and_what_it_held_does_not() -> None:
    left = report().lasting().and_also(report(2).lasting())
    assert counts_of([left])["colours", 1] == replace(
        counts_of((report(), report(2)))["colours", 1], waiting=0, unsound_instances=0
    )
    assert totals_of([left])["colours", 1].success == Total(4, 40)
    assert (left.in_flight, left.entries) == (0, ())
    assert {family.kind for family in left.families} == {"counter", "histogram"}
    assert left.of_versions(set()).counts == left.of_versions(set()).totals == ()
    gone = without_versions(lasting(measured(3, 2)), {("colours", "2")})
    assert [family.samples for family in gone] == [() for _ in gone]
    all_of_it = measured(3, 2)
    assert without_versions(all_of_it, {("colours", "1")}) == all_of_it


@pytest.fixture
def facts(publish: Callable[..., Path]) -> VersionFacts:
    manifest = read_manifest(publish())
    return VersionFacts("colours", 1, manifest, BatchPolicy(max_queue=100), "CPUExecutionProvider")


def test_a_version_is_ready_in_all_or_it_says_where_it_is_not(facts: VersionFacts) -> None:
    here = Catalog((facts,), (BrokenVersion("colours", 2, "goldens differ"),), "colours")
    sound = report(2, entries=(Entry("colours", 1, "", 1, 60),))
    (ready,) = one_catalog(here, [sound]).ready
    assert (ready.instances, ready.policy.max_queue) == (2, 160)
    assert overall(facts, [sound, sound]).policy.max_queue == 220
    ill = report(3, entries=(Entry("colours", 1, "a call hangs"),))
    catalog = one_catalog(here, [sound, ill])
    assert catalog.ready == ()
    assert {(one.version, one.reason) for one in catalog.broken} == {
        (1, "in worker 3: a call hangs"),
        (2, "goldens differ"),
    }
    assert one_catalog(here, [report(2)]).ready == (facts,)  # the other has still to load it, or has let it go


def test_metrics_side_by_side_say_whose_they_are_and_keep_their_values() -> None:
    text = generate_latest(Families(side_by_side("replica", [("a", measured(3, 2)), ("b", measured(1, 0))]))).decode()
    assert text.count("# TYPE harmonic_requests_total counter") == 1
    for line in (
        'harmonic_requests_total{model="colours",replica="a",version="1"} 3.0',
        'harmonic_requests_total{model="colours",replica="b",version="1"} 1.0',
        'harmonic_model_ready{model="colours",replica="a",version="1"} 1.0',
        'harmonic_model_ready{model="colours",replica="b",version="1"} 0.0',
        'harmonic_build_info{build="1",replica="b"} 1.0',
    ):
        assert line in text.splitlines()
