"""Replicas behind one coordinator: one truth, one change, and what happens when one of them is lost."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from harmonic.errors import HarmonicError
from service.errors import ModelNotFound, NotReady
from service.ray.coordinator import Coordinator
from service.ray.scaling import BUSY, WAITING
from tests.support.images import plain
from tests.support.replicas import Cluster, LostError, replicas

pytestmark = pytest.mark.timeout(60)


def client(cluster: Cluster, name: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(cluster.services[name].app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def turned(look: Callable[[], bool]) -> None:
    """Return as soon as it is so; the test's own time limit ends the wait."""
    while not look():
        await asyncio.sleep(0.005)


async def answered(cluster: Cluster, name: str, colour: str = "red") -> int:
    async with client(cluster, name) as asking:
        answer = (await asking.post("/v1/classify", content=plain(colour))).json()
    assert answer["predictions"][0]["classes"][0]["label"] == colour
    return int(answer["version"])


async def loaded(cluster: Cluster, name: str, model: str) -> bool:
    """False while there is no coordinator, or none that knows this replica."""
    try:
        await cluster.services[name].engine.load_model(model)
    except NotReady:
        return False
    return True


async def test_any_replica_tells_of_all(repository: Path) -> None:
    async with replicas(repository, "a", "b") as cluster:
        assert [await answered(cluster, name) for name in "aab"] == [1, 1, 1]
        async with client(cluster, "b") as asking:
            assert (await asking.get("/readyz")).status_code == 200
            models = (await asking.get("/v1/models")).json()["models"]
            assert models[0]["versions"][0]["instances"] == 2
            metrics = (await asking.get("/metrics")).text
            activity = (await asking.get("/v1/activity")).json()
    requests = dict(re.findall(r'harmonic_requests_total\{model="colours",replica="(\w)".*\} (\S+)', metrics))
    assert requests == {"a": "2.0", "b": "1.0"}
    assert metrics.count("# TYPE harmonic_requests_total counter") == 1
    assert activity["versions"][0]["images"] == 3
    assert activity["versions"][0]["latency"]["counts"][-1] == 3


async def test_a_new_version_is_loaded_by_every_replica(publish: Callable[..., Path], tmp_path: Path) -> None:
    publish()
    async with replicas(tmp_path / "models", "a", "b", model_control="explicit", load_models="*") as cluster:
        publish()
        assert [await answered(cluster, name) for name in "ab"] == [1, 1]
        async with client(cluster, "a") as asking:
            assert (await asking.post("/v2/repository/models/colours/load")).status_code == 200
        assert [await answered(cluster, name) for name in "ab"] == [2, 2]
        await cluster.services["b"].engine.unload_model("colours")
        for service in cluster.services.values():
            assert not service.engine.describe().ready


async def test_a_replica_that_comes_later_has_what_the_others_were_told_to_load(
    publish: Callable[..., Path], tmp_path: Path
) -> None:
    publish()
    publish("cats")
    async with replicas(tmp_path / "models", "a", model_control="explicit") as cluster:
        assert not cluster.services["a"].engine.describe().names()
        await cluster.services["a"].engine.load_model("cats")
        await cluster.start("b")
        assert cluster.services["b"].engine.describe().names() == ["cats"]


async def test_the_repository_is_followed_by_all_together(publish: Callable[..., Path], tmp_path: Path) -> None:
    publish()
    async with replicas(tmp_path / "models", "a", "b", model_control="poll", poll_seconds=0.02) as cluster:
        publish()
        while [await answered(cluster, name) for name in "ab"] != [2, 2]:
            pass


async def test_a_version_that_one_replica_cannot_load_is_told_with_its_name(repository: Path) -> None:
    async with replicas(repository, "a") as cluster:
        for path in (repository / "colours" / "1").iterdir():
            path.write_bytes(b"rubbish")
        await cluster.start("bad")
        (entry,) = await cluster.services["a"].engine.index()
        assert entry.reason.startswith("in replica bad: ")


async def test_errors_of_control_are_those_of_one_process(repository: Path) -> None:
    async with replicas(repository, "a", "b", model_control="explicit", load_models="*") as cluster:
        with pytest.raises(ModelNotFound):
            await cluster.services["b"].engine.load_model("dogs")


async def test_a_replica_that_ends_is_asked_no_more(repository: Path) -> None:
    async with replicas(repository, "a", "b", model_control="explicit", load_models="*") as cluster:
        await answered(cluster, "b")
        await cluster.services["a"].engine.gather()
        await cluster.services["b"].close()
        await cluster.services["a"].engine.load_model("colours")
        async with client(cluster, "a") as asking:
            assert 'replica="b"' not in (await asking.get("/metrics")).text
            assert (await asking.get("/v1/activity")).json()["versions"][0]["images"] == 1  # it stays counted


async def test_one_that_died_without_a_word_holds_up_nothing_for_long(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replicas(repository, "a") as cluster:
        coordinator = cluster.handle.coordinator
        assert coordinator is not None
        orders = await coordinator.join("dead")
        await coordinator.ask(orders["number"], "started", {"again": False, "ready": False, "models": ["colours"]})
        await turned(lambda: not cluster.services["a"].engine.ready())
        monkeypatch.setattr("service.ray.seat.GONE_SECONDS", 1.0)
        monkeypatch.setattr("service.ray.coordinator._WAIT_SECONDS", 0.05)
        await turned(cluster.services["a"].engine.ready)


async def test_replicas_serve_without_a_coordinator_and_join_the_next_one(
    publish: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ray.link._PAUSE_SECONDS", 0.01)
    publish()
    publish("cats")
    async with replicas(tmp_path / "models", "a", "b", model_control="explicit", default_model="colours") as cluster:
        await cluster.services["a"].engine.load_model("colours")
        cluster.handle.kill()
        assert [await answered(cluster, name) for name in "ab"] == [1, 1]
        with pytest.raises(NotReady, match="ask again"):
            await cluster.services["a"].engine.load_model("cats")
        cluster.handle.replace(Coordinator(cluster.settings))
        while not await loaded(cluster, "a", "cats"):
            await asyncio.sleep(0.005)
        await cluster.start("c")
        for service in cluster.services.values():
            assert service.engine.describe().names() == ["cats", "colours"]


async def test_a_limit_of_a_key_holds_for_all_replicas(repository: Path) -> None:
    sha = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of foo
    keys = [{"name": "ci", "sha256": sha, "requests_per_minute": 2}]
    async with replicas(repository, "a", "b", keys=keys) as cluster:
        statuses = []
        for name in "aba":
            async with client(cluster, name) as asking:
                asked = await asking.get("/v1/models", headers={"Authorization": "Bearer foo"})
            statuses.append(asked.status_code)
        assert statuses == [200, 200, 429]
        cluster.handle.kill()
        async with client(cluster, "a") as asking:
            asked = await asking.get("/v1/models", headers={"Authorization": "Bearer foo"})
        assert asked.status_code == 503


async def test_a_replica_is_well_until_only_a_new_process_could_mend_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replicas(repository, "a") as cluster:
        cluster.replicas["a"].check()
        monkeypatch.setattr("service.engine.local.LocalEngine.alive", lambda _: False)
        with pytest.raises(RuntimeError, match="replica a is beyond help"):
            cluster.replicas["a"].check()


async def test_a_replica_that_cannot_start_leaves_its_seat(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "nowhere")
    with pytest.raises(HarmonicError, match="nowhere"):
        await cluster.start("a")
    assert cluster.handle.coordinator is not None
    assert await cluster.handle.coordinator.fetch(1, 0) is None


async def test_what_there_is_to_do_is_measured(repository: Path) -> None:
    async with replicas(repository, "a") as cluster:
        await answered(cluster, "a")
        measured = cluster.replicas["a"].measure()
        assert measured[WAITING] == 0.0
        assert 0 < measured[BUSY] <= 1
        assert cluster.replicas["a"].measure()[BUSY] == 0.0  # since it was last asked


async def test_without_a_coordinator_a_replica_does_not_start(repository: Path) -> None:
    cluster = Cluster(repository)
    cluster.handle.kill()
    with pytest.raises(LostError):
        await cluster.start("a")
