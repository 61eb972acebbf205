"""The page of the benchmarks is what its figures say, and a run makes such figures."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.peers import SERVERS
from benchmarks.queueing import alike, in_batches
from benchmarks.variants import compared

ROOT = Path(__file__).resolve().parents[1]


def figures() -> dict:
    return json.loads(page.FIGURES.read_text(encoding="utf-8"))


def test_the_page_is_written_from_its_figures():
    assert page.text(figures()) == page.PAGE.read_text(encoding="utf-8"), "python -m benchmarks.page renews it"


def test_every_server_has_its_title():
    assert set(page.TITLES) == set(SERVERS)


def test_a_figure_that_falls_short_is_said_to():
    found = figures()
    found["quick"] = False
    found["footprint"] = {"ready_s": [1.5, 9.0, 2.5], "memory_mb": [150], "image_mb": 401}
    text = page.text(found)
    assert "| start of the embedded model, s | at most 2 | 2.5 | **no** |" in text
    assert "| memory at rest, MB | at most 200 | 150 | yes |" in text
    assert "| CPU image, MB | at most 400 | 401 | **no** |" in text


def test_a_quick_run_judges_nothing():
    text = page.text(figures() | {"quick": True})
    assert "not judged" in text
    assert "**no**" not in text


def test_failures_stand_on_the_page():
    found = figures()
    next(iter(found["workloads"].values()))["servers"]["harmonic"][0]["closed"]["1"]["failures"] = {"timeout": 2}
    assert "did not answer every request well: timeout" in page.text(found)


def waits_at_most(t: float, load: float) -> float:
    """The share of requests that wait at most t services in a queue of one server that needs 1 for each (Erlang)."""
    terms = ((load * (k - t)) ** k / math.factorial(k) * math.exp(-load * (k - t)) for k in range(int(t) + 1))
    return (1 - load) * sum(terms)


def test_the_first_queue_is_that_of_the_textbook():
    p99 = alike(0.0, 1000.0, 1, 0.7) - 1.0  # its wait, in services of a millisecond
    assert waits_at_most(0.92 * p99, 0.7) < 0.99 < waits_at_most(1.08 * p99, 0.7)


@pytest.mark.parametrize("servers", [1, 2])
def test_in_the_queues_nobody_waits_where_hardly_anybody_comes(servers: int):
    assert alike(0.002, 1000.0, servers, 0.001) == pytest.approx(2.0)
    assert in_batches(0.002, 1000.0, servers, 0.001, 32) == pytest.approx(2.0)


@pytest.mark.parametrize("servers", [1, 2])
def test_where_one_alone_costs_more_the_second_queue_is_the_longer_one(servers: int):
    # One alone needs 2 ms and 32 need 32 ms: 32 callers get 1,000 a second of one server.
    assert in_batches(0.002, 1000.0, servers, 0.7, 32) > 1.5 * alike(0.002, 1000.0, servers, 0.7) > 1.5 * 2.0


@pytest.mark.slow
def test_a_quick_run_makes_figures(tmp_path: Path):
    out = tmp_path / "benchmarks.json"
    command = [sys.executable, "-m", "benchmarks.servers", "--quick", "--workload", "tiny", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=600)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert set(found["workloads"]["tiny"]["servers"]) == {"harmonic", "harmonic, workers"}
    assert "## Goals" in (tmp_path / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_cost_of_an_owner_is_measured_with_a_stand_in():
    command = [sys.executable, "-m", "benchmarks.owner", "--rounds", "1", "--seconds", "1", "--callers", "4"]
    done = subprocess.run([*command, "--side", "16"], cwd=ROOT, check=True, timeout=300, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["requests_per_s"] > 0 and 1 <= found["mean_batch"] <= 128
    assert 0 < found["owner_us"] < 1e6 and 0 < found["feeder_us"] < 1e6


def test_networks_are_compared_seed_by_seed():
    base, better = {1: 0.50, 2: 0.40, 3: 0.30}, {1: 0.51, 2: 0.42, 3: 0.33}
    # By hand: the mean of 1, 2 and 3 points, 4.303 (Student's t of two degrees) times 1 / sqrt(3) either way.
    said = "harmonic against plain: +2.00 points (95 % interval -0.48 to +4.48, p = 0.074), 3 pairs"
    assert compared("plain", base, "harmonic", better) == said
