"""The figures of a closed load are those that wrk finds, on a service whose time is known."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.load.answers import fault
from service.load.figures import StepFigures, measure
from service.load.plan import ClosedPace, LoadPlan, read_address
from service.load.team import Team
from tests.support.stub_service import http, stub

POST = b"POST /x HTTP/1.1\r\nHost: stub\r\nContent-Length: 3\r\n\r\nabc"
CALLERS, SECONDS, ANSWER_S = 16, 3, 0.05


def ours(url: str) -> StepFigures:
    pace = ClosedPace(CALLERS)
    with Team(1, fault) as team:
        return measure(pace, team.run(LoadPlan(read_address(url), (POST,), pace, SECONDS), lambda _: None), None)


def by_wrk(url: str, folder: Path) -> tuple[float, float]:
    """Requests a second, and the median latency in ms."""
    script = folder / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.body = "abc"\n')
    command = ["wrk", "-t1", f"-c{CALLERS}", f"-d{SECONDS}s", "--latency", "-s", script, f"{url}/x"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rate, median = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"50%\s+([\d.]+)ms", said)
    return float(rate[1]), float(median[1])


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed (on Debian: apt-get install wrk)")
def test_throughput_and_latency_are_those_of_wrk(tmp_path: Path):
    with stub(lambda _: (ANSWER_S, http())) as url:
        found, (rate, median) = ours(url), by_wrk(url, tmp_path)
    assert found.throughput == pytest.approx(rate, rel=0.05)
    assert found.latency_ms["p50"] == pytest.approx(median, rel=0.05)
    assert found.failed == 0
