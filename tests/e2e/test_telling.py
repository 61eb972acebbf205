"""What a serving process tells: JSON lines to the end, and spans that nobody takes do not hold it up."""

import json
import signal
from pathlib import Path

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import PATIENCE_S, free_port, serving


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


def test_every_line_of_a_json_log_is_an_object(repository):
    with serving(repository, "--log-format", "json", "--access-log") as (url, process):
        assert httpx.post(f"{url}/v1/classify", content=plain(), headers={"X-Request-Id": "r1"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate(timeout=PATIENCE_S)[1].splitlines()]
    assert process.returncode == 0
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    (access,) = [line for line in lines if line["logger"] == "service.http.access"]
    assert (access["request_id"], access["status"], access["model"]) == ("r1", 200, "colours")
    assert any(line["message"].startswith("shutting down") for line in lines)


def test_a_collector_that_is_away_holds_up_neither_answers_nor_the_end(repository):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")
    away = f"http://127.0.0.1:{free_port()}/v1/traces"
    with serving(repository, otlp_endpoint=away) as (url, process):
        for _ in range(5):
            assert httpx.post(f"{url}/v1/classify", content=plain()).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
