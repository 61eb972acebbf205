"""The service on a real cluster of Ray, on loopback alone: answers, a new version, a node that dies under load."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.client import Client, Retries
from service.ray.haproxy import environment
from tests.support.colours import publish_colours
from tests.support.images import COLOURS, plain
from tests.support.process import PATIENCE_S, serving
from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.waiting import until

pytest.importorskip("ray", reason="the extra ray is not installed: pip install 'harmonic-inference[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
CALLERS = 4
STATISTICS, METRICS = 8404, 9101  # ports of HAProxy
LOOPBACK = "0100007F"  # as the kernel writes it


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ray") / "models"
    publish_colours(root)
    return root


@pytest.fixture(scope="module", params=["python", "haproxy"])
def cluster(root: Path, request: pytest.FixtureRequest) -> Iterator[RayCluster]:
    haproxy = request.param == "haproxy"
    with ray_cluster(root, haproxy=haproxy, **(environment() if haproxy else {})) as made:
        yield made


class Callers:
    """Steady callers: which version answered whom, and what went wrong."""

    def __init__(self, url: str, retries: Retries) -> None:
        self.versions: list[int] = []
        self.wrong: list[str] = []
        self._client = Client(url, retries=retries)
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(colour,)) for colour in list(COLOURS) * 2][:CALLERS]

    @contextmanager
    def asking(self) -> Iterator["Callers"]:
        for thread in self._threads:
            thread.start()
        try:
            self.more(20)
            yield self
        finally:
            self._end.set()
            for thread in self._threads:
                thread.join(PATIENCE_S)
            self._client.close()

    def more(self, number: int) -> None:
        """Return when so many more were answered."""
        enough = len(self.versions) + number
        until(lambda: len(self.versions) >= enough or self.wrong)

    def _ask(self, colour: str) -> None:
        while not self._end.is_set():
            try:
                answer = self._client.classify(plain(colour))
            except Exception as error:
                self.wrong.append(str(error))
                return
            if answer.label != colour:
                self.wrong.append(f"{colour} was taken for {answer.label}")
            self.versions.append(answer.version)


def replicas(url: str) -> set[str]:
    """Those that tell of themselves."""
    text = httpx.get(f"{url}/metrics", timeout=PATIENCE_S).text
    return set(re.findall(r'harmonic_model_ready\{.*replica="(\w+)"', text))


def test_answers_are_those_of_one_process(cluster: RayCluster, root: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    with serving(root, "--device", "cpu") as (url, _), Client(url) as one, Client(cluster.url) as many:
        for colour in COLOURS:
            assert many.classify(plain(colour)).classes == one.classify(plain(colour)).classes
        assert np.array_equal(many.infer(rows, model="colours"), one.infer(rows, model="colours"))
    assert len(replicas(cluster.url)) == 2


def test_refusals_are_the_services_own(cluster: RayCluster) -> None:
    answer = httpx.post(f"{cluster.url}/v1/classify", content=b"no image", timeout=PATIENCE_S)
    assert answer.status_code == 415
    assert answer.json()["error"]["code"]
    assert "Server-Timing" in answer.headers


def test_what_haproxy_tells_of_itself_stays_on_this_machine(cluster: RayCluster) -> None:
    listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line}
    of_haproxy = {place for place in listening if int(place.split(":")[1], 16) in {STATISTICS, METRICS}}
    assert of_haproxy == ({f"{LOOPBACK}:{port:04X}" for port in (STATISTICS, METRICS)} if cluster.haproxy else set())


def test_a_new_version_takes_over_on_every_replica_without_a_failed_request(cluster: RayCluster, root: Path) -> None:
    with Callers(cluster.url, Retries(most=0)).asking() as callers:
        before = callers.versions[-1]
        publish_colours(root)
        loaded = httpx.post(f"{cluster.url}/v2/repository/models/colours/load", timeout=PATIENCE_S)
        assert loaded.status_code == 200, loaded.text
        callers.more(CALLERS)  # those that were on their way
        since = len(callers.versions)
        callers.more(60)
    assert callers.wrong == []
    assert set(callers.versions[since:]) == {before + 1}
    models = httpx.get(f"{cluster.url}/v1/models", timeout=PATIENCE_S).json()["models"]
    assert [version["state"] for version in models[0]["versions"]] == ["ready"] * (before + 1)
    assert models[0]["versions"][-1]["instances"] >= 2


def test_replicas_serve_on_when_their_coordinator_dies_and_obey_the_next(cluster: RayCluster, root: Path) -> None:
    with Callers(cluster.url, Retries(most=0)).asking() as callers:
        cluster.do("coordinator")
        publish_colours(root)
        newest = len(list((root / "colours").glob("[0-9]*")))
        load = f"{cluster.url}/v2/repository/models/colours/load"
        until(lambda: httpx.post(load, timeout=PATIENCE_S).status_code == 200)
        until(lambda: len(replicas(cluster.url)) == 2)
        httpx.post(load, timeout=PATIENCE_S).raise_for_status()  # now that both have joined
        callers.more(CALLERS)
        since = len(callers.versions)
        callers.more(40)
    assert callers.wrong == []
    assert set(callers.versions[since:]) == {newest}


def test_a_node_that_dies_under_load_loses_nothing(cluster: RayCluster, root: Path) -> None:
    before = replicas(cluster.url)
    with Callers(cluster.url, Retries()).asking() as callers:
        cluster.do("kill")
        callers.more(100)
        until(lambda: len(replicas(cluster.url)) == 1)
        publish_colours(root)
        httpx.post(f"{cluster.url}/v2/repository/models/colours/load", timeout=PATIENCE_S).raise_for_status()
        newest = len(list((root / "colours").glob("[0-9]*")))
        cluster.do("add")
        until(lambda: len(replicas(cluster.url)) == 2, 120)
        callers.more(60)
    assert callers.wrong == []
    assert set(callers.versions[-20:]) == {newest}  # also by the replica that came later
    assert len(replicas(cluster.url) & before) == 1


def test_a_replica_that_is_given_up_answers_what_it_has(cluster: RayCluster) -> None:
    with Callers(cluster.url, Retries(most=0)).asking() as callers:
        cluster.do("shrink")
        until(lambda: len(replicas(cluster.url)) == 1)
        callers.more(40)
    assert callers.wrong == []
