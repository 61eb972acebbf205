"""What an answer, the log and a collector are told about a request."""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from pydantic import ValidationError

from service.config import Settings
from service.errors import StartError
from service.http.app import assemble
from service.telemetry.logs import JsonFormatter, TextFormatter
from tests.support.app import Client, posted, serving
from tests.support.images import plain

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
SECRET = "a-word-that-only-the-caller-knows"


class Lines(logging.Handler):
    """What the service logs, formatted."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def objects(self) -> list[dict]:
        return [json.loads(line) for line in self.lines]

    def access(self) -> list[dict]:
        return [line for line in self.objects() if line["logger"] == "service.http.access"]


@pytest.fixture
def logged(request: pytest.FixtureRequest) -> Iterator[Lines]:
    handler = Lines(getattr(request, "param", JsonFormatter)())
    logger = logging.getLogger("service")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("given", ["7", "f00-BAR_9", "a" * 128, "Root=1-67891233-abcdef012345678912345678"])
async def test_a_sane_request_id_comes_back(repository, given):
    assert (await posted(repository, content=plain(), headers={"X-Request-Id": given})).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "two words", 'quote"', "caf\xe9".encode("latin-1"), "a\tb"])
async def test_an_odd_request_id_is_replaced(repository, given):
    headers = {"X-Request-Id": given}
    assert re.fullmatch(
        "[0-9a-f]{16}", (await posted(repository, content=plain(), headers=headers)).headers["X-Request-Id"]
    )


async def test_every_request_has_an_id_of_its_own(repository):
    async with serving(repository) as (client, _):
        given = {(await client.get("/livez")).headers["X-Request-Id"] for _ in range(20)}
    assert len(given) == 20


async def test_an_answer_tells_its_times_and_its_batch(repository):
    files = [("image", plain("red")), ("image", plain("blue"))]
    answer = await posted(repository, files=files)
    told_by_header = dict(re.findall(r'(\w+);(?:dur=|desc=")([\d.]+)', answer.headers["Server-Timing"]))
    body = answer.json()["timing_ms"]
    assert told_by_header.keys() == {"decode", "queue", "inference", "batch", "total"}
    assert told_by_header["batch"] == "2"
    for phase in ("decode", "queue", "inference"):
        assert float(told_by_header[phase]) == pytest.approx(body[phase], abs=0.002)
    assert float(told_by_header["total"]) >= body["total"]


async def test_a_tensor_request_is_observed_like_a_picture(repository, logged):
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": [0] * 192}
    body = {"inputs": [tensor]}
    answer = await posted(repository, "/v2/models/colours/infer", {"access_log": True}, json=body)
    assert answer.status_code == 200, answer.text
    assert 'batch;desc="1"' in answer.headers["Server-Timing"]
    (line,) = logged.access()
    assert (line["route"], line["model"], line["batch"]) == ("/v2/models/{name}/infer", "colours", 1)


@pytest.mark.parametrize("url", ["/nowhere", "/v1/models/none/classify", "/v1/classify"])
async def test_an_error_has_an_id_and_a_time_too(repository, url):
    answer = await posted(repository, url, content=b"no image")
    assert answer.status_code in {404, 415, 422}
    assert answer.headers["X-Request-Id"]
    assert re.fullmatch(r"total;dur=[\d.]+", answer.headers["Server-Timing"])


async def test_an_unforeseen_error_has_the_id_that_its_log_lines_have(repository, logged):
    async def story() -> httpx.Response:
        app = assemble(Settings(repository=repository)).app

        @app.get("/fault")
        async def fault() -> None:
            raise RuntimeError("unforeseen")

        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with Client(transport=transport, base_url="http://service") as client:
            return await client.get("/fault", headers={"X-Request-Id": "mine"})

    answer = await story()
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (500, "mine")
    (line,) = [line for line in logged.objects() if "exception" in line]
    assert (line["request_id"], line["level"]) == ("mine", "error")
    assert "RuntimeError: unforeseen" in line["exception"]


async def test_the_access_line_says_who_worked_how_long(repository, logged):
    headers = {"X-Request-Id": "r1", **TRACEPARENT}
    await posted(repository, "/v1/models/colours/classify", {"access_log": True}, content=plain(), headers=headers)
    (line,) = logged.access()
    assert line.pop("duration_ms") > 0
    assert line.pop("time").endswith("+00:00")
    assert line.pop("message").startswith("POST /v1/models/{name}/classify 200 in ")
    assert line == {
        "level": "info",
        "logger": "service.http.access",
        "request_id": "r1",
        "trace_id": TRACE,
        "span_id": PARENT,
        "method": "POST",
        "route": "/v1/models/{name}/classify",
        "status": 200,
        "model": "colours",
        "version": 1,
        "images": 1,
        "batch": 1,
    }


@pytest.mark.parametrize(
    "value",
    [
        "",
        "junk",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
async def test_a_malformed_traceparent_is_as_good_as_none(repository, logged, value):
    answer = await posted(repository, settings={"access_log": True}, content=plain(), headers={"traceparent": value})
    assert answer.status_code == 200
    assert "trace_id" not in logged.access()[0]


async def test_a_traceparent_of_a_later_version_is_read(repository, logged):
    headers = {"traceparent": f"01-{TRACE}-{PARENT}-01-what-comes-later"}
    await posted(repository, settings={"access_log": True}, content=plain(), headers=headers)
    assert logged.access()[0]["trace_id"] == TRACE


@pytest.mark.parametrize("logged", [JsonFormatter, TextFormatter], indirect=True)
@pytest.mark.parametrize("url", [f"/{SECRET}", f"/v1/models/{SECRET}/classify", f"/v1/classify?top_k={SECRET}"])
async def test_nothing_that_the_caller_wrote_is_logged(repository, logged, url):
    headers = dict.fromkeys(("X-Request-Id", "traceparent", "User-Agent", "Authorization"), f"{SECRET} {SECRET}")
    await posted(repository, url, {"access_log": True}, files=[("image", (SECRET, SECRET.encode()))], headers=headers)
    await posted(repository, "/v1/classify", {"access_log": True}, content=SECRET.encode())
    assert len(logged.lines) >= 2
    assert SECRET not in "".join(logged.lines)


@pytest.mark.parametrize("logged", [TextFormatter], indirect=True)
async def test_a_line_for_people_ends_with_the_request(repository, logged):
    await posted(repository, settings={"access_log": True}, content=plain(), headers={"X-Request-Id": "r1"})
    assert re.search(r"INFO service.http.access: POST /v1/classify 200 in [\d.]+ ms \[request r1\]$", logged.lines[-1])


@pytest.fixture
def collector() -> Iterator[tuple[str, list]]:
    """An OpenTelemetry collector on this machine: its address, and the spans that it got."""
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")
    spans: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_request_becomes_a_span_of_the_callers_trace_with_its_phases(repository, collector):
    endpoint, spans = collector
    headers = {"X-Request-Id": "r1", **TRACEPARENT}
    await posted(
        repository, "/v1/models/colours/classify", {"otlp_endpoint": endpoint}, content=plain(), headers=headers
    )
    (server,) = [span for span in spans if span.parent_span_id.hex() == PARENT]
    children = sorted((span for span in spans if span is not server), key=lambda span: span.start_time_unix_nano)
    assert server.name == "POST /v1/models/{name}/classify"
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert [span.name for span in children] == ["decode", "queue", "inference"]
    assert {span.parent_span_id for span in children} == {server.span_id}
    said = {pair.key: pair.value.string_value or pair.value.int_value for pair in server.attributes}
    assert said["http.response.status_code"] == 200
    assert (said["harmonic.model"], said["harmonic.batch_size"], said["harmonic.request_id"]) == ("colours", 1, "r1")


async def test_a_caller_who_says_do_not_sample_gets_no_spans(repository, collector):
    endpoint, spans = collector
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    assert (
        await posted(repository, settings={"otlp_endpoint": endpoint}, content=plain(), headers=headers)
    ).status_code == 200
    assert spans == []


async def test_the_log_lines_of_a_traced_request_carry_its_own_span(repository, collector, logged):
    endpoint, spans = collector
    await posted(repository, settings={"otlp_endpoint": endpoint, "access_log": True}, content=plain())
    (server,) = [span for span in spans if not span.parent_span_id]
    (line,) = logged.access()
    assert (line["trace_id"], line["span_id"]) == (server.trace_id.hex(), server.span_id.hex())


def test_a_collector_without_the_extra_that_speaks_to_it_stops_the_start(repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(StartError, match=r"harmonic-inference\[otel\]"):
        assemble(Settings(repository=repository, otlp_endpoint="http://127.0.0.1:4318/v1/traces"))


@pytest.mark.parametrize("endpoint", ["", "collector:4318", "file:///etc/passwd", "http://a b"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint):
    with pytest.raises(ValidationError):
        Settings(otlp_endpoint=endpoint)
