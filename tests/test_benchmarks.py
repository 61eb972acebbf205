"""The page of the benchmarks is what its figures say, and a run makes such figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.peers import SERVERS

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
