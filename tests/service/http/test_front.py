"""The short way around the framework answers as the long way does, and takes nothing that is not plain."""

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from service.config import Settings, make
from service.http.app import App, assemble
from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import serving
from tests.support.sockets import connect, everything

HEAD = b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\nConnection: close\r\nX-Request-Id: r1\r\n%b\r\n"
RED = plain("red")
ROWS = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": [9] * 192}]}
INFER = json.dumps(ROWS).encode()
BINARY = b"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    with serving(root) as (url, _):
        yield url


def answers(url: str, path: bytes, body: bytes, headers: bytes = b"", host: bytes = b"localhost") -> list[bytes]:
    """The answer the short way, and the long way: a body that waits for the service's word goes that one."""
    found = []
    for more in (headers, headers + b"Expect: 100-continue\r\n"):
        with connect(url) as connection:
            connection.sendall(HEAD % (path, host, len(body), more) + body)
            found.append(everything(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))
    return found


def told_alike(answer: bytes) -> tuple[list[bytes], bytes]:
    """An answer without its times: status and headers in their order, and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    steady = [line for line in lines if not line.lower().startswith((b"date:", b"content-length:", b"server-timing:"))]
    names = sorted(line.partition(b":")[0] for line in lines[1:])
    return [*steady, *names], re.sub(rb'"timing_ms":\{[^}]*\}', b"", body)


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        (b"/v1/classify", RED, b""),
        (b"/v1/classify?top_k=2", RED, b"Content-Type: image/png\r\n"),
        (b"/v1/classify?top_k=none", RED, b""),
        (b"/v1/models/colours/classify", RED, b""),
        (b"/v1/models/colours/versions/1/classify", RED, b""),
        (b"/v1/models/colours/versions/one/classify", RED, b""),
        (b"/v1/models/colours/versions/7/classify", RED, b""),
        (b"/v1/models/no%2Fbody/classify", RED, b""),
        (b"/v1/models/nobody/classify", RED, b""),
        (b"/v1/classify", b"no image", b""),
        (b"/v1/classify", RED[:-9], b""),
        (b"/v1/classify", RED, b"Content-Type: text/html\r\n"),
        (b"/v1/classify", RED, b"Content-Encoding: gzip\r\n"),
        (b"/v1/classify", b'{"images": []}', b"Content-Type: application/json\r\n"),
        (b"/v1/classify", b"no parts", b"Content-Type: multipart/form-data; boundary=b\r\n"),
        (b"/v1/classify", RED, b"Origin: https://a.example\r\n"),
        (b"/v1/classify", RED, b"Origin: https://b.example\r\n"),
        (b"/v1/classify", RED, b"Sec-Fetch-Site: cross-site\r\n"),
        (b"/v2/models/colours/infer", INFER, b""),
        (b"/v2/models/colours/versions/1/infer", INFER, b""),
        (b"/v2/models/colours/versions/0x/infer", INFER, b""),
        (b"/v2/models/nobody/infer", INFER, b""),
        (b"/v2/models/colours/infer", b"{", b""),
        (b"/v2/models/colours/infer", b"{}", b"Inference-Header-Content-Length: x\r\n"),
        (b"/v1/nothing", RED, b""),
        (b"/v1/classify/", RED, b""),
    ],
)
def test_both_ways_answer_alike(url, path, body, headers):
    short, long = answers(url, path, body, headers)
    assert short.startswith(b"HTTP/1.1 ")
    assert told_alike(short) == told_alike(long)


def test_a_foreign_host_is_refused_either_way(url):
    short, long = answers(url, b"/v1/classify", RED, host=b"evil.example")
    assert short.startswith(b"HTTP/1.1 421 ")
    assert told_alike(short) == told_alike(long)


def test_keys_and_limits_hold_either_way(tmp_path):
    publish_colours(tmp_path)
    secret, key = make("caller", ["inference"])
    other, operator = make("operator", ["control"])
    keys = f"[{key.model_copy(update={'body_bytes': 300}).model_dump_json()}, {operator.model_dump_json()}]"
    with serving(tmp_path, body_bytes="400", keys=keys) as (url, _):
        for who, size, status in (
            (secret, 0, 200),
            (secret, 301, 413),
            (secret, 401, 413),
            (other, 0, 403),
            ("x", 0, 401),
        ):
            bearer = b"Authorization: Bearer %b\r\n" % who.encode()
            short, long = answers(url, b"/v1/classify", bytes(size) or RED, bearer)
            assert short.startswith(b"HTTP/1.1 %d " % status), short
            assert told_alike(short) == told_alike(long)
            assert status == 200 or b"connection: close" in short.lower()


async def test_only_requests_for_an_answer_whose_body_is_there_go_the_short_way(repository):
    app = assemble(Settings(repository=repository)).app
    assert isinstance(app, App)
    front = app.front
    scope = {"type": "http", "method": "POST", "path": "/v1/models/some/classify", "headers": [], "root_path": ""}
    assert front is not None
    assert not front.takes(dict(scope))  # under a server that is not ours
    assert front.takes(scope | there(True)) and not front.takes(scope | there(False))
    taken = scope | there(True)
    assert front.takes(taken) and (taken["route"].path, taken["path_params"]) == (
        "/v1/models/{name}/classify",
        {"name": "some"},
    )
    for odd in ({"method": "GET"}, {"path": "/v1/models"}, {"path": "/v1/models/a/b/classify"}, {"root_path": "/api"}):
        assert not front.takes(scope | there(True) | odd)


async def test_where_origins_are_listed_a_page_of_any_origin_goes_the_long_way(repository):
    app = assemble(Settings(repository=repository, cors_origins=["https://a.example"])).app
    assert isinstance(app, App) and app.front is not None
    scope = {"type": "http", "method": "POST", "path": "/v1/classify", "headers": [], "root_path": "", **there(True)}
    assert app.front.takes(dict(scope))
    for origin in (b"https://a.example", b"https://b.example", b"null"):
        assert not app.front.takes(scope | {"headers": [(b"origin", origin)]})


def test_listed_origins_hold_either_way(tmp_path):
    publish_colours(tmp_path)
    with serving(tmp_path, cors_origins='["https://a.example"]') as (url, _):
        for origin, status, allowed in (
            (b"", 200, False),
            (b"Origin: https://a.example\r\n", 200, True),
            (b"Origin: https://b.example\r\n", 403, False),
            (b"Sec-Fetch-Site: cross-site\r\n", 403, False),
        ):
            short, long = answers(url, b"/v1/classify", RED, origin)
            assert short.startswith(b"HTTP/1.1 %d " % status), short
            assert (b"access-control-allow-origin: https://a.example" in short.lower()) is allowed
            assert told_alike(short) == told_alike(long)


def there(complete: bool) -> dict[str, object]:
    """What a connection says of a request's body."""
    return {"harmonic.incoming": SimpleNamespace(complete=lambda: complete)}
