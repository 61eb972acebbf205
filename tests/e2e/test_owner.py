"""`harmonic serve --workers 2 --owner always`: front ends, and one process that owns the models."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.faults import FOR_EVER, SECONDS, hangs_on_red
from tests.support.images import plain
from tests.support.process import PATIENCE_S, serving
from tests.support.several import EXPLICIT, Load, answered, children, connections, gone, kinds, ready
from tests.support.waiting import metrics_with, until

OWNED = ("--workers", "2", "--owner", "always")


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[tuple[str, int]]:
    """One service for all that it outlives: its address, and the supervisor's number."""
    with serving(root, *OWNED, **EXPLICIT) as (url, process):
        yield url, process.pid


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


def test_whichever_front_end_is_asked_tells_the_truth_of_all(service):
    url, pid = service
    assert {kind: len(found) for kind, found in kinds(pid).items()} == {"owning": 1, "worker": 2}
    with connections(url) as clients:
        for client in clients:
            answered(client)
        for client in clients:
            text = client.get("/metrics").text
            assert 'harmonic_requests_total{model="colours",status="200",version="1"} 8.0' in text
            assert 'harmonic_images_total{model="colours",version="1"} 8.0' in text
            assert 'harmonic_queue_limit_images{model="colours",version="1"} 256.0' in text
            assert 'harmonic_model_ready{model="colours",provider="CPUExecutionProvider",version="1"} 1.0' in text
            assert "harmonic_workers 2.0" in text and "harmonic_owner_restarts_total 0.0" in text
            (activity,) = client.get("/v1/activity").json()["versions"]
            assert (activity["images"], activity["latency"]["counts"][-1]) == (8, 8)
            (figures,) = client.get("/v2/models/colours/stats").json()["model_stats"]
            assert figures["inference_stats"]["success"]["count"] == 8
            (version,) = client.get("/v1/models/colours").json()["versions"]
            assert version["policy"]["max_queue"] == 256


def test_a_model_swaps_to_another_size_of_image_without_a_failed_request(service, root):
    url, _ = service
    with Load(url) as load, connections(url) as clients:
        load.more(50)
        for side in (16, 8, 32):
            folder = publish_colours(root, side=side)
            assert clients[0].post("/v2/repository/models/colours/load").status_code == 200
            # When the load is answered, every front end answers with what was loaded.
            assert {answered(client) for client in clients} == {int(folder.name)}
            load.more(50)
    assert set(load.statuses) == {200} and not load.lost


def test_a_front_end_that_is_killed_loses_its_own_requests_and_is_replaced(service):
    url, pid = service
    with Load(url) as load:
        load.more(50)
        owner, (victim, other) = kinds(pid)["owning"], kinds(pid)["worker"]
        os.kill(victim, signal.SIGKILL)
        load.more(100)
        metrics_with(url, "harmonic_worker_restarts_total 1.0")
        text = metrics_with(url, "harmonic_workers 2.0")
        ready(url)
        load.more(100)
    assert set(load.statuses) == {200}
    assert 1 <= load.lost <= 8
    assert kinds(pid)["owning"] == owner and other in kinds(pid)["worker"]
    assert "harmonic_owner_restarts_total 0.0" in text
    until(lambda: _queue(url) == 0)  # what the dead one had in the queue is gone with it


def _queue(url: str) -> float:
    lines = httpx.get(f"{url}/metrics", timeout=PATIENCE_S).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("harmonic_queue_images{"))


def test_an_owner_that_is_killed_under_load_costs_503_with_retry_after_and_is_replaced(service):
    url, pid = service
    with Load(url) as load:
        load.more(50)
        fronts, (owner,) = kinds(pid)["worker"], kinds(pid)["owning"]
        before = _answers(url)
        os.kill(owner, signal.SIGKILL)
        until(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 503)
        text = metrics_with(url, "harmonic_owner_restarts_total 1.0")
        ready(url)
        load.more(100)
        assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200
    assert set(load.statuses) <= {200, 503} and not load.lost
    assert load.statuses[503] and not load.without_retry
    assert _answers(url) >= before + 100
    assert kinds(pid)["worker"] == fronts and kinds(pid)["owning"] != [owner]
    assert "harmonic_workers 2.0" in text


def _answers(url: str) -> float:
    lines = httpx.get(f"{url}/metrics", timeout=PATIENCE_S).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("harmonic_requests_total{"))


@pytest.mark.slow
def test_an_owner_whose_call_never_returns_is_replaced(tmp_path):
    publish_colours(tmp_path / "models", graph=hangs_on_red(FOR_EVER))
    settings = {"deadline_ms": "3600000", "call_seconds": "0.1", "drain_seconds": "0"}
    with serving(tmp_path / "models", *OWNED, **settings) as (url, process), connections(url, 2) as clients:
        (owner,) = kinds(process.pid)["owning"]
        lost = clients[0].post("/v1/classify", content=plain("red"))
        assert lost.status_code == 503 and "retry-after" in lost.headers
        metrics_with(url, "harmonic_owner_restarts_total 1.0")
        ready(url)
        assert gone(owner)
        assert answered(clients[1], "blue") == 1
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_with_the_supervisor_every_process_is_gone(repository):
    with serving(repository, *OWNED) as (url, process), connections(url, 4) as clients:
        answered(clients[0])
        processes = children(process)
        assert len(processes) == 3
        process.kill()
        process.wait()
        until(lambda: all(map(gone, processes)))


def test_an_owner_that_dies_ends_the_service_where_the_setting_says_so(repository):
    with serving(repository, *OWNED, owner_death="end", drain_seconds="0") as (_, process):
        processes = children(process)
        os.kill(*kinds(process.pid)["owning"], signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 2
        assert "owner of the models was killed by SIGKILL" in process.stderr.read()
        assert all(map(gone, processes))


async def test_told_to_end_it_answers_what_is_in_flight_and_leaves_nobody(tmp_path):
    """Requests are with the owner, in a call and behind it, when the signal comes."""
    publish_colours(tmp_path / "models", graph=hangs_on_red(2 * SECONDS))
    with serving(tmp_path / "models", *OWNED, drain_seconds="0", instances="1") as (url, process):
        processes = children(process)
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            asked = [asyncio.ensure_future(client.post("/v1/classify", content=plain("red"))) for _ in range(4)]
            await asyncio.to_thread(metrics_with, url, "harmonic_requests_in_flight 4.0")
            process.terminate()
            answers = await asyncio.gather(*asked)
        assert [answer.status_code for answer in answers] == [200] * 4
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
        assert all(map(gone, processes))
