"""A service whose repository is a store serves a copy of it: from the start, as it changes, and without it."""

import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from export.errors import RepositoryError, StoreError
from service.config import Settings, read_settings
from service.engine import LocalEngine
from service.errors import StartError
from service.mirroring import Mirroring
from service.telemetry import Metrics
from tests.support.colours import publish_colours
from tests.support.stores import emptied, in_memory, uploaded, written
from tests.support.waiting import until_on_loop


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def version(tmp_path) -> Path:
    return publish_colours(tmp_path / "made")


@pytest.fixture
def store(version):
    store = in_memory()
    uploaded(store, version)
    return store


def settings_of(store, **more) -> Settings:
    return Settings(repository=str(store), device="cpu", threads=1, poll_seconds=0.02, **more)


class Running:
    """An engine from its start to its end."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self.engine = LocalEngine(settings, Metrics(self.registry))

    async def __aenter__(self) -> "Running":
        await self.engine.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.stop()

    def serves(self) -> list[int]:
        return sorted(facts.version for facts in self.engine.describe().ready)

    def metrics(self) -> str:
        return generate_latest(self.registry).decode()


async def test_the_models_of_a_store_serve(store, cache):
    settings = settings_of(store)
    assert settings.store == str(store)
    assert cache in settings.repository.parents

    async with Running(settings) as running:
        assert running.serves() == [1]
        metrics = running.metrics()

    assert "harmonic_store_up 1.0" in metrics
    assert 'harmonic_store_versions_total{result="brought"} 1.0' in metrics
    assert "harmonic_store_bytes 0.0" not in metrics


async def test_a_new_version_serves_as_soon_as_it_has_come_and_a_bad_one_never(store, version):
    async with Running(settings_of(store, model_control="poll")) as running:
        uploaded(store, version)
        await until_on_loop(lambda: running.serves() == [1, 2])
        manifest = (version / "manifest.json").read_bytes()
        for file in ("model.onnx", "golden.npz"):
            written(store, b"something else", "colours", "3", file)
        written(store, manifest, "colours", "3", "manifest.json")
        uploaded(store, version)
        await until_on_loop(lambda: running.serves() == [1, 2, 4])
        await until_on_loop(lambda: 'result="refused"} 0.0' not in running.metrics())

    assert running.serves() == [1, 2, 4]


async def test_a_start_without_the_store_serves_the_copy_of_an_earlier_one(store, caplog):
    settings = settings_of(store)
    async with Running(settings):
        pass
    emptied(store)

    async with Running(settings) as running:
        assert running.serves() == [1]
        assert "harmonic_store_up 0.0" in running.metrics()

    assert "the store is away" in caplog.text


async def test_a_start_with_neither_store_nor_copy_is_refused():
    with pytest.raises(StartError, match=r"has no models.*no copy of an earlier start"):
        await LocalEngine(settings_of(in_memory()), Metrics(CollectorRegistry())).start()


async def test_where_models_may_come_later_they_do(version, caplog):
    store = in_memory()
    caplog.set_level(logging.INFO)
    async with Running(settings_of(store, model_control="poll")) as running:
        assert not running.engine.ready()
        uploaded(store, version)
        await until_on_loop(running.engine.ready)

    assert "there is nothing to serve yet" in caplog.text
    assert "the store answers again" in caplog.text


async def test_of_the_newest_one_more_comes_to_take_the_place_of_a_bad_one(store, version, tmp_path):
    uploaded(store, version)
    uploaded(store, publish_colours(tmp_path / "bad", golden_shift=1.0))

    settings = settings_of(store, versions="latest")
    async with Running(settings) as running:
        assert running.serves() == [2]
    assert not (settings.repository / "colours" / "1").exists()


async def test_a_folder_that_is_no_copy_is_left_alone(store, version):
    settings = Settings(repository=version.parents[1], store=str(store), device="cpu")

    with pytest.raises(RepositoryError, match="is no copy of"):
        await LocalEngine(settings, Metrics(CollectorRegistry())).start()
    assert version.is_dir()


async def test_a_failure_of_our_own_is_told_and_the_next_look_goes_on(store, version, caplog):
    settings = settings_of(store, model_control="poll")
    calls = []

    def served():
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return set()

    mirroring = Mirroring(settings, served)
    await mirroring.begin()
    await until_on_loop((settings.repository / "colours" / "1").is_dir)
    mirroring.stop()

    assert "looking at the store" in caplog.text
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_an_address_with_a_password_stops_the_start_and_is_not_repeated(monkeypatch):
    with pytest.raises(StartError, match="come from the environment") as caught:
        read_settings({"repository": "https://somebody:secret@host/models"})
    assert "secret" not in str(caught.value)

    monkeypatch.setenv("HARMONIC_SERVE_STORE", "s3://key:secret@bucket")
    with pytest.raises(StartError, match="HARMONIC_SERVE_STORE") as caught:
        read_settings()
    assert "secret" not in str(caught.value)


def test_a_store_may_have_its_copy_anywhere_and_has_it_in_the_cache_otherwise(tmp_path, cache):
    assert read_settings({"repository": tmp_path}).store is None
    assert read_settings({"repository": tmp_path, "store": "s3://bucket/models/"}).repository == tmp_path
    settings = read_settings({"store": "s3://bucket/models"})
    assert settings.store == "s3://bucket/models"
    assert settings.repository == read_settings({"repository": "s3://bucket/models"}).repository
    assert cache in settings.repository.parents


async def test_a_store_whose_library_is_missing_stops_the_start(monkeypatch):
    monkeypatch.setattr("export.stores.opening.KINDS", {"s3": "no_such_library"})

    with pytest.raises(StoreError, match="no_such_library is not installed"):
        await LocalEngine(Settings(repository="s3://bucket/models", device="cpu"), Metrics(CollectorRegistry())).start()
