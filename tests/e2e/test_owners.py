"""`harmonic serve --workers 2 --owners 2`: front ends of two processes that own the same models."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.process import PATIENCE_S, serving
from tests.support.several import EXPLICIT, Load, answered, connections, kinds
from tests.support.waiting import metrics_with, until

TWO = ("--workers", "2", "--owners", "2")


@pytest.fixture(scope="module")
def service(root: Path) -> Iterator[tuple[str, int]]:
    """One service for all: its address, and the supervisor's number."""
    with serving(root, *TWO, **EXPLICIT, instances="1") as (url, process):
        yield url, process.pid


def version(url: str) -> dict[str, object]:
    """What the service tells of the version that serves."""
    (found,) = httpx.get(f"{url}/v1/models/colours", timeout=PATIENCE_S).json()["versions"]
    return found


def test_whichever_front_end_is_asked_tells_of_both_owners(service):
    url, pid = service
    assert {kind: len(found) for kind, found in kinds(pid).items()} == {"owning": 2, "worker": 2}
    with connections(url) as clients:
        for client in clients:
            answered(client)
        for client in clients:
            text = client.get("/metrics").text
            assert 'harmonic_images_total{model="colours",version="1"} 8.0' in text
            assert 'harmonic_queue_limit_images{model="colours",version="1"} 256.0' in text
            assert 'harmonic_model_ready{model="colours",provider="CPUExecutionProvider",version="1"} 1.0' in text
            assert "harmonic_owners 2.0" in text
            (activity,) = client.get("/v1/activity").json()["versions"]
            assert (activity["images"], activity["latency"]["counts"][-1]) == (8, 8)
    assert (version(url)["policy"]["max_queue"], version(url)["instances"]) == (256, 2)


def test_a_model_swaps_over_both_owners_without_a_failed_request(service, root):
    url, _ = service
    with Load(url) as load, connections(url) as clients:
        load.more(50)
        for side in (16, 8, 32):
            folder = publish_colours(root, side=side)
            assert clients[0].post("/v2/repository/models/colours/load").status_code == 200
            # When the load is answered, every front end answers with what was loaded, whichever owner it asks.
            assert {answered(client) for client in clients * 2} == {int(folder.name)}
            load.more(50)
    assert set(load.statuses) == {200} and not load.lost
    assert version(url).get("remark") is None


def test_one_of_two_owners_that_is_killed_under_load_costs_its_own_requests_and_the_service_stays_ready(service):
    url, pid = service
    with Load(url) as load:
        load.more(50)
        owners, fronts = kinds(pid)["owning"], kinds(pid)["worker"]
        os.kill(owners[0], signal.SIGKILL)
        remarks = set()

        def replaced() -> bool:
            assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200
            remarks.add(version(url).get("remark"))
            return len(remarks) > 1 and version(url).get("remark") is None

        until(replaced)
        text = metrics_with(url, "harmonic_owner_restarts_total 1.0")
        load.more(100)
    assert remarks == {None, "1 of 2 owners of the models have it ready"}
    assert set(load.statuses) <= {200, 503} and not load.lost
    assert load.statuses[503] <= 8 and not load.without_retry  # of each caller the one request that it had there
    assert owners[1] in kinds(pid)["owning"] and owners[0] not in kinds(pid)["owning"]
    assert kinds(pid)["worker"] == fronts and "harmonic_owners 2.0" in text


def test_a_model_that_is_unloaded_is_loaded_by_no_owner_and_comes_back_everywhere(service, root):
    url, _ = service
    with connections(url) as clients:
        assert clients[0].post("/v2/repository/models/colours/unload").status_code == 200
        for client in clients:
            assert client.post("/v1/classify", content=b"").status_code in {404, 503}
        assert clients[1].post("/v2/repository/models/colours/load").status_code == 200
        assert {answered(client) for client in clients * 2} == {len(list((root / "colours").glob("[0-9]*")))}


@pytest.mark.slow
def test_an_owner_that_cannot_be_replaced_is_missed_by_the_others_and_ends_no_service(tmp_path):
    """As with a device that is gone: its process cannot load anything, however often it is started."""
    models, aside = tmp_path / "models", tmp_path / "aside"
    publish_colours(models)
    with serving(models, "--workers", "1", "--owners", "2", drain_seconds="0") as (url, process):
        survivor, victim = kinds(process.pid)["owning"]
        models.rename(aside)
        os.kill(victim, signal.SIGKILL)
        tried: set[int] = set()

        def often_enough() -> bool:
            tried.update(kinds(process.pid)["owning"])
            return len(tried - {survivor, victim}) > 4  # a worker's tries would be over

        until(often_enough)
        with connections(url, 1) as (client,):
            assert client.get("/readyz").status_code == 200
            assert answered(client) == 1
            aside.rename(models)
            metrics_with(url, "harmonic_owners 2.0")
            assert answered(client) == 1
