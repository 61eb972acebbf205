"""Answers that come before a request was read reach callers who send everything before they read."""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from service.config import make
from tests.support.colours import publish_colours
from tests.support.process import PATIENCE_S, serving

_, KEY = make("someone", ["inference"])
LARGE = 24 * 2**20  # far more than the sockets of both sides hold
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
LENGTH = b"Content-Length: %d\r\n" % LARGE


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    return root


@pytest.fixture(scope="module")
def url(repository: Path) -> Iterator[str]:
    with serving(repository, body_bytes="100000", head_bytes="2048", connections="8") as (url, _):
        yield url


def connect(url: str) -> socket.socket:
    host, _, port = url.partition("://")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def sent_then_read(connection: socket.socket, head: bytes, body: bytes) -> bytes:
    """The answer to whoever does not look at it before everything is sent."""
    connection.sendall(head)
    connection.sendall(body)
    said = bytearray()
    while data := connection.recv(65536):
        said += data
    return bytes(said)


def refused(answer: bytes, status: int, code: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (LENGTH, 413, "body_too_large"),
        (LENGTH + b"Origin: https://a.example\r\n", 403, "foreign_origin"),
        (LENGTH.replace(b"Con", b"Connection: close\r\nCon"), 413, "body_too_large"),
    ],
)
def test_a_refusal_of_a_large_body_is_read_after_the_body_was_sent(url, headers, status, code):
    with connect(url) as connection:
        refused(sent_then_read(connection, HEAD % (b"/v1/classify", headers), bytes(LARGE)), status, code)


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [(b"no request\r\n\r\n", 400, "bad_request"), (b"GET /" + b"x" * 4000, 431, "head_too_large")],
)
def test_a_refusal_by_the_connection_itself_is_read_by_whoever_sends_on(url, head, status, code):
    with connect(url) as connection:
        refused(sent_then_read(connection, head, b"x" * LARGE), status, code)


def test_a_full_service_says_so_to_whoever_sends_first_and_reads_then(url):
    """All places are taken by callers in the middle of a body."""
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            one = stack.enter_context(connect(url))
            one.sendall(HEAD % (b"/v1/classify", b"Content-Length: 10\r\nExpect: 100-continue\r\n"))
            assert one.recv(100).startswith(b"HTTP/1.1 100 ")
        for _ in range(5):
            with connect(url) as late:
                refused(sent_then_read(late, HEAD % (b"/livez", LENGTH), bytes(LARGE)), 503, "too_many_connections")


def test_a_chunked_body_that_grows_too_large_is_refused_readably(url):
    chunks = (b"100000\r\n" + bytes(2**20) + b"\r\n") * 24 + b"0\r\n\r\n"
    with connect(url) as connection:
        answer = sent_then_read(connection, HEAD % (b"/v1/classify", b"Transfer-Encoding: chunked\r\n"), chunks)
        refused(answer, 413, "body_too_large")


def test_an_error_of_the_route_is_read_by_a_caller_who_wants_the_connection_closed(url):
    head = HEAD % (b"/nowhere", LENGTH + b"Connection: close\r\n")
    with connect(url) as connection:
        refused(sent_then_read(connection, head, bytes(LARGE)), 404, "route_not_found")


def test_a_missing_key_is_told_after_a_large_body_over_tls_too(repository, tmp_path):
    authority, files = trustme.CA(), [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    certificate = authority.issue_cert("127.0.0.1")
    for name, pem in zip(files, (certificate.cert_chain_pems[0], certificate.private_key_pem), strict=True):
        pem.write_to_path(name)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    keys = json.dumps([KEY.model_dump(mode="json", exclude_none=True)])
    with (
        serving(repository, keys=keys, tls_cert=files[0], tls_key=files[1]) as (url, _),
        context.wrap_socket(connect(url), server_hostname="127.0.0.1") as connection,
    ):
        refused(sent_then_read(connection, HEAD % (b"/v1/classify", LENGTH), bytes(LARGE)), 401, "unauthorized")


def test_the_answer_is_there_before_the_body_is(url):
    with connect(url) as connection:
        connection.sendall(HEAD % (b"/v1/classify", LENGTH))
        said = bytearray()
        while not said.endswith(b"}}"):
            said += connection.recv(65536)
        refused(bytes(said), 413, "body_too_large")


def test_whoever_sends_nothing_more_is_not_waited_for(url):
    with connect(url) as connection:
        refused(sent_then_read(connection, HEAD % (b"/v1/classify", LENGTH), b""), 413, "body_too_large")


def test_whoever_sends_for_ever_is_cut(url):
    end = time.monotonic() + PATIENCE_S
    with connect(url) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(HEAD % (b"/v1/classify", b"Transfer-Encoding: chunked\r\n"))
        while time.monotonic() < end:
            connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
    assert time.monotonic() < end
