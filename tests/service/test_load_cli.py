"""`harmonic load` as people type it, on a service with a model of colours."""

import json
import re
from pathlib import Path

import pytest

from service.load import Body, Scenario
from tests.support.colours import publish_colours
from tests.support.commands import done, harmonic, refused
from tests.support.process import free_port, run, serving
from tests.support.stub_service import http, stub

SHORT = ("--generate", "16x16.png", "--requests", "30", "--warm-up", "0")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    with serving(root) as (address, _):
        yield address


def test_steps_are_measured_and_written(url: str, tmp_path: Path):
    figures, page = tmp_path / "load.json", tmp_path / "load.html"
    said = done("load", url, "--callers", "1,4", *SHORT, "--json", figures, "--report", page, "--processes", 2)
    assert re.search(r"4 callers +│", said)
    found = json.loads(figures.read_text())
    assert found["url"] == f"{url}/v1/classify"
    assert [step["callers"] for step in found["steps"]] == [1, 4]
    for step in found["steps"]:
        assert step["failed"] == 0
        assert step["answered"] >= 30
        assert 0 < step["latency_ms"]["p50"] <= step["latency_ms"]["p99"] <= step["latency_ms"]["max"]
        assert sum(int(size) * count for size, count in step["service"]["batches"].items()) >= 30
    assert page.read_text().count("<svg") == 1 + 2 * 3


def test_json_may_have_stdout_for_itself(url: str):
    said = done("load", url, "--rate", "200", *SHORT, "--body", "tensor", "--model", "colours", "--json", "-")
    assert json.loads(said)["steps"][0]["rate"] == 200


def test_a_broken_condition_is_status_1_with_its_reason(url: str):
    ended = harmonic("load", url, *SHORT, "--fail-if", "p99>0.0001", "--fail-if", "errors>0")
    assert ended.exit_code == 1
    assert "failed: p99>0.0001: " in ended.output
    assert "failed: errors" not in ended.output


def test_failures_are_told(tmp_path: Path):
    with stub(lambda n: (0.0, http(503, b"full") if n > 20 else http())) as address:
        ended = harmonic("load", f"{address}/x", *SHORT, "--fail-if", "errors>0")
    assert ended.exit_code == 1
    assert re.search(r"failed: \d+ x 503 Service Unavailable", ended.output)


def test_the_key_goes_along_and_is_written_nowhere(tmp_path: Path):
    with stub(lambda _: (0.0, http())) as address:
        ended = run("load", f"{address}/x", *SHORT, "--api-key", "secret-key", "--json", tmp_path / "found.json")
    assert ended.returncode == 0, ended.stderr
    command = json.loads((tmp_path / "found.json").read_text())["command"]
    assert "--api-key ..." in command
    assert "secret-key" not in command + ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--callers", "0"), "above zero"),
        (("--rate", "1,x"), "above zero"),
        (("--rate", "1", "--callers", "1"), "ways of their own"),
        (("--body", "xml"), f"none of {', '.join(Body)}"),
        (("--mlperf", "Client"), f"none of {', '.join(Scenario)}"),
        (("--fail-if", "p1>2"), "Say it like"),
        (("--body", "tensor", "--model", "nothing"), "404"),
        (("--model", "nothing"), "there is no model"),
        (("--json", "/nowhere/at/all.json", *SHORT), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_an_error(url: str, arguments: tuple[str, ...], says: str):
    assert says in refused("load", url, *arguments)


def test_a_service_that_is_not_there_is_an_error():
    assert "Is the service running" in refused("load", f"http://127.0.0.1:{free_port()}")


@pytest.mark.slow
def test_a_peak_is_found(url: str):
    said = done("load", url, "--find-peak", "--slo-p99-ms", 200, "--duration", 1, "--generate", "16x16.png")
    assert re.search(r"Peak with p99 within 200 ms: [\d,]+ requests/s", said)


def test_mlperf_gives_its_verdict(url: str):
    pytest.importorskip("mlperf_loadgen", reason="the extra mlperf is not installed")
    ended = harmonic("load", url, "--mlperf", "Offline", "--generate", "16x16.png", "--duration", 0.1, "--rate", 1000)
    assert "Scenario : Offline" in ended.output
    assert ended.exit_code == ("Result is : VALID" not in ended.output)
