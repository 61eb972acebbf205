"""MLPerf's LoadGen asks, through our connections. Without the package the error says which extra brings it."""

import sys
from pathlib import Path

import pytest

from service.load.mlperf import Scenario, Verdict, run_mlperf
from service.load.plan import ClosedPace, LoadError, LoadPlan, read_address
from tests.support.process import free_port
from tests.support.stub_service import Answer, http, stub

POST = b"POST /x HTTP/1.1\r\nHost: stub\r\nContent-Length: 3\r\n\r\nabc"


def plan(url: str, **more: object) -> LoadPlan:
    made = {"seconds": 0.5, "most_requests": 100, "connections": 4, **more}
    return LoadPlan(address=read_address(url), requests=(POST,) * 3, pace=ClosedPace(1), **made)


def ran(scenario: Scenario, answer: Answer, log: Path) -> Verdict:
    pytest.importorskip("mlperf_loadgen", reason="the extra mlperf is not installed")
    with stub(answer) as url:
        return run_mlperf(plan(url), scenario, rate=400.0, slo_p99_ms=5000.0, log=log)


@pytest.mark.parametrize("scenario", Scenario)
def test_every_query_is_answered(scenario: Scenario, tmp_path: Path):
    verdict = ran(scenario, lambda _: (0.001, http()), tmp_path)
    assert f"Scenario : {scenario}" in verdict.summary
    assert verdict.failed == 0
    assert verdict.answered >= 100
    assert verdict.valid == ("Result is : VALID" in verdict.summary)
    assert (tmp_path / "mlperf_log_detail.txt").exists()


def test_what_fails_is_no_valid_result(tmp_path: Path):
    verdict = ran(
        Scenario.SingleStream, lambda n: (0.0, None if n % 9 == 8 else http(429 if n % 5 == 4 else 200)), tmp_path
    )
    assert verdict.failed >= 25
    assert not verdict.valid
    assert verdict.faults[0].startswith("429")


def test_where_nobody_listens_it_says_so(tmp_path: Path):
    pytest.importorskip("mlperf_loadgen", reason="the extra mlperf is not installed")
    with pytest.raises(LoadError, match="did not take 4 connections"):
        run_mlperf(plan(f"http://127.0.0.1:{free_port()}", timeout_s=0.5), Scenario.Offline, rate=None, slo_p99_ms=1.0)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(LoadError, match=r"harmonic-inference\[mlperf\]"):
        run_mlperf(plan("http://127.0.0.1:1"), Scenario.Offline, rate=None, slo_p99_ms=1.0)


def test_server_wants_a_rate():
    pytest.importorskip("mlperf_loadgen", reason="the extra mlperf is not installed")
    with pytest.raises(LoadError, match="--rate"):
        run_mlperf(plan("http://127.0.0.1:1"), Scenario.Server, rate=None, slo_p99_ms=1.0)
