"""Names that operators and repositories give: of models that are there, or it is told."""

import logging

import pytest
from prometheus_client import CollectorRegistry

from service.config.reading import read_settings
from service.engine import LocalEngine
from service.errors import NotReady, StartError
from service.telemetry import Metrics


async def started(root, **settings) -> tuple[str | None, str]:
    """The default model of a service that was started, and what it says to a request for it."""

    async def story() -> tuple[str | None, str]:
        engine = LocalEngine(
            read_settings({"repository": root, "device": "cpu", **settings}), Metrics(CollectorRegistry())
        )
        await engine.start()
        try:
            engine.find(None, None)
            said = ""
        except NotReady as error:
            said = error.message
        finally:
            await engine.stop()
        return engine.describe().default, said

    return await story()


async def test_the_repository_may_name_its_default_and_the_setting_wins(publish, tmp_path):
    for name in ("one", "two"):
        publish(name)
    (tmp_path / "models" / "repository.toml").write_text('default_model = "two"')
    assert (await started(tmp_path / "models"))[0] == "two"
    assert (await started(tmp_path / "models", default_model="one"))[0] == "one"


async def test_a_default_of_the_repository_that_is_gone_is_told(publish, tmp_path, caplog):
    publish("one")
    (tmp_path / "models" / "repository.toml").write_text('default_model = "two"')
    assert (await started(tmp_path / "models"))[0] == "one"
    assert "'two', which is not there" in caplog.text


@pytest.mark.parametrize("text", ["", "default = 'one'", "default_model = 1", "{", "default_model = 'one'\nport = 1"])
async def test_a_file_that_says_something_else_stops_the_start(repository, text):
    (repository / "repository.toml").write_text(text)
    with pytest.raises(StartError, match="default_model = "):
        await started(repository)


@pytest.mark.parametrize(
    "settings", [{"default_model": "colurs"}, {"policies": {"colurs": {"max_size": 2}}}], ids=["default", "policies"]
)
async def test_a_name_that_is_no_model_stops_the_start_or_is_told_where_it_may_come(repository, caplog, settings):
    with pytest.raises(StartError, match=r"colurs; .* has colours"):
        await started(repository, **settings)
    for control in ("poll", "explicit"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            await only_start(repository, model_control=control, **settings)
        assert "colurs" in caplog.text


async def only_start(root, **settings) -> None:
    engine = LocalEngine(read_settings({"repository": root, "device": "cpu", **settings}), Metrics(CollectorRegistry()))
    await engine.start()
    await engine.stop()


async def test_an_empty_repository_is_told_and_what_to_do(tmp_path, caplog):
    (tmp_path / "models").mkdir()
    assert "harmonic export" in (await started(tmp_path / "models"))[1]
    assert "has no models" in caplog.text


async def test_where_models_are_loaded_on_request_the_answer_says_how(repository):
    assert "/load" in (await started(repository, model_control="explicit"))[1]
