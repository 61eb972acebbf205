"""StepFigures of known samples are exact."""

import numpy as np
import pytest

from service.load.figures import StepFigures, measure
from service.load.plan import OpenPace
from service.load.samples import REFUSED, TIMEOUT, Recorder
from service.load.team import Outcome


def outcome(rows: list[tuple[float, float, float, int]], held: bool = False, cpu: float = 0.1) -> Outcome:
    recorder = Recorder()
    for intended, sent, ended, kind in rows:
        recorder.add(intended, sent, ended, kind, held=held)
    return Outcome(recorder.samples(), 10.0, 20.0, (cpu,), (), 0, cut=False)


def measured(*rows: tuple[float, float, float, int], **more: object) -> StepFigures:
    return measure(OpenPace(10.0), outcome(list(rows), **more), None)


def test_percentiles_are_latencies_of_requests():
    rng = np.random.default_rng(0)
    waits = rng.permutation(np.arange(1, 1001)) / 1000
    found = measured(*((10 + n / 200, 10 + n / 200, 10 + n / 200 + wait, 200) for n, wait in enumerate(waits)))
    wanted = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": 999, "mean": 500.5, "max": 1000}
    assert found.latency_ms == pytest.approx(wanted)
    assert sum(count for _, count in found.histogram) == 1000


def test_the_warm_up_is_not_measured_and_answers_after_the_end_are_no_throughput():
    found = measured((9.9, 9.9, 10.5, 200), (11, 11, 11.1, 200), (19.9, 19.9, 20.5, 200))
    assert (found.requests, found.answered) == (2, 2)
    # Those that came between 10 and 20: the first, begun before, among them.
    assert found.throughput == pytest.approx(0.2)


def test_failures_are_counted_and_do_not_flatter():
    found = measured((11, 11, 11.5, 200), (12, 12, 12.001, 429), (13, 13, 23, TIMEOUT), (14, 14, 14, REFUSED))
    assert found.failures == {"timeout": 1, "refused": 1, "429 Too Many Requests": 1}
    assert (found.failed, found.answered) == (3, 1)
    assert found.latency_ms["max"] == pytest.approx(10_000)
    assert found.latency_ms["p50"] == pytest.approx(500)


def test_late_sends_are_counted_by_whose_fault_they_are():
    rows = [(11 + n / 10, 11 + n / 10 + (0.01 if n % 2 else 0.0001), 12, 200) for n in range(8)]
    assert (measured(*rows).late, measured(*rows).held) == (4, 0)
    assert (measured(*rows, held=True).late, measured(*rows, held=True).held) == (0, 4)
    assert "late by this command itself" in str(measured(*rows).saturated)
    assert measured(*rows, held=True).saturated is None


def test_it_says_when_it_is_busy_itself():
    assert "97% of a core" in str(measured((11, 11, 12, 200), cpu=0.97).saturated)
    assert measured((11, 11, 12, 200), cpu=0.5).saturated is None


def test_moments_follow_time():
    found = measured((10.5, 10.5, 10.6, 200), (12.5, 12.5, 12.8, 200), (12.6, 12.6, 12.7, 500))
    assert [each.at_s for each in found.moments] == list(range(10))
    assert [each.answered for each in found.moments][:4] == [1, 0, 1, 0]
    assert found.moments[2].failed == 1
    assert found.moments[0].p99_ms == pytest.approx(100)
    assert found.moments[1].p50_ms is None


def test_nothing_answered_is_no_latency():
    found = measured((11, 11, 11, REFUSED))
    assert (found.latency_ms, found.throughput) == ({}, 0)
