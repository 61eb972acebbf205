"""Callers who are slow, silent, many, rude or gone, with real sockets against a real process."""

import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.support.colours import publish_colours
from tests.support.images import encoded, noise, plain
from tests.support.process import PATIENCE_S, memory_bytes, run, serving
from tests.support.sockets import GET, answered, connect, everything, refused, still_serves, told
from tests.support.waiting import metrics_with, not_ready, until

LIMITS = {
    "connections": "40",
    "head_bytes": "2048",
    "head_seconds": "1",
    "body_seconds": "1",
    "keep_alive_seconds": "1",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    return root


@pytest.fixture(scope="module")
def url(repository: Path) -> Iterator[str]:
    with serving(repository, **LIMITS) as (url, _):
        yield url


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 4000 + b" HTTP/1.1\r\n",
        b"GET /livez HTTP/1.1\r\nA: " + b"x" * 4000,
        b"GET /livez HTTP/1.1\r\n" + b"x" * 4000,
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        GET[:-2] + b"A: " + b"x" * 4000 + b"\r\n\r\n",
    ],
    ids=["line", "value", "name", "many", "whole"],
)
def test_a_head_beyond_its_limits_is_refused(url, head):
    refused(told(url, head), 431, "head_too_large")
    still_serves(url)


def test_a_body_is_no_part_of_the_head_however_it_arrives(url):
    body = encoded(noise(100))
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(body)
    one, last = head + b"\r\n" + body, head + b"Connection: close\r\n\r\n" + body
    assert len(body) > 10 * int(LIMITS["head_bytes"])
    assert told(url, one + last).count(b"HTTP/1.1 200 ") == 2  # written at once, and two on one connection


def test_bodies_are_not_counted_as_heads(url):
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        for side in (20, 100, 300, 20):
            assert client.post("/v1/classify", content=encoded(noise(side))).status_code == 200


def test_a_connection_that_queues_requests_without_end_is_closed(url):
    assert told(url, GET * 500).count(b"HTTP/1.1 200 ") < 50
    still_serves(url)


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /v1/classify HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(url, request_):
    refused(told(url, request_), 400, "bad_request")
    still_serves(url)


def test_an_offer_of_another_protocol_is_not_taken_up(url):
    offer = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert told(url, offer).startswith(b"HTTP/1.1 200 ")


def test_a_head_that_does_not_end_is_given_up(url):
    refused(told(url, GET[:-2]), 408, "head_too_slow")


def test_a_connection_that_says_nothing_is_closed(url):
    assert told(url, b"") == b""


def test_a_connection_that_is_kept_and_not_used_is_closed(url):
    assert told(url, GET).startswith(b"HTTP/1.1 200 ")


def test_a_second_head_has_no_more_time_than_the_first(url):
    with connect(url) as connection:
        connection.sendall(GET)
        assert answered(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(GET[:-2])
        refused(everything(connection), 408, "head_too_slow")


def test_a_body_that_does_not_end_is_given_up(url):
    refused(
        told(url, b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc"),
        408,
        "body_too_slow",
    )


def test_a_body_that_nobody_asked_for_is_not_listened_to_for_ever(url):
    with connect(url) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert answered(connection).startswith(b"HTTP/1.1 200 ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(10_000_000):
                connection.sendall(b"1\r\nx\r\n")


def test_the_rest_of_a_body_that_was_answered_early_may_pass_and_the_connection_is_kept(url):
    with connect(url) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc")
        assert answered(connection).startswith(b"HTTP/1.1 404 ")
        connection.sendall(b"def" + GET)
        assert b"alive" in everything(connection)


def test_pipelined_requests_are_answered_in_order(url):
    body = plain("green")
    post = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    answer = told(url, post + GET + b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert [answer.index(word) for word in (b"green", b"alive", b"route_not_found")] == sorted(
        answer.index(word) for word in (b"green", b"alive", b"route_not_found")
    )


def test_more_idle_connections_than_there_may_be_cost_the_longest_idle_ones(url):
    idle = [connect(url) for _ in range(120)]
    still_serves(url)
    assert everything(idle[0]) == b""
    for connection in idle:
        connection.close()
    still_serves(url)


def test_thousands_of_idle_connections_are_held_and_the_service_answers(repository):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4000:
        pytest.skip("the limit on open files is too low for this test")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    with serving(repository, connections="3500", head_seconds="60") as (url, process):
        idle = [connect(url) for _ in range(3000)]
        before = memory_bytes(process.pid)
        for _ in range(3):
            still_serves(url)
        assert before < 512 * 2**20
        idle[0].sendall(GET)
        assert answered(idle[0]).startswith(b"HTTP/1.1 200 ")  # it was kept
        for connection in idle:
            connection.close()
        still_serves(url)


def test_when_every_connection_is_busy_a_new_one_is_told_to_come_back(repository):
    with serving(repository, connections="5") as (url, _):
        upload = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc"
        busy = [connect(url) for _ in range(5)]
        for connection in busy:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answered(connection)
            connection.sendall(upload)
        once = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        # It has then seen the last upload.
        answer = until(lambda: b" 503 " in (said := told(url, once)) and said)
        refused(answer, 503, "too_many_connections")
        assert b"retry-after: 1" in answer.lower()
        for connection in busy:
            connection.close()
        until(lambda: b" 200 " in told(url, once))
        still_serves(url)


def test_a_caller_who_reads_no_answer_is_cut_off(repository):
    with serving(repository, write_seconds="0.3", keep_alive_seconds="1") as (url, _), connect(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1_000_000):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
        still_serves(url)


def test_callers_who_vanish_while_they_wait_are_forgotten(url):
    body = encoded(noise(256))
    for _ in range(30):
        with connect(url) as connection:
            connection.sendall(
                b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
    metrics_with(url, "harmonic_requests_in_flight 0.0")
    still_serves(url)


def test_a_kept_connection_is_closed_by_agreement_when_the_service_shuts_down(repository):
    with serving(repository, drain_seconds="60") as (url, process), connect(url) as connection:
        connection.sendall(GET)
        assert b"connection: close" not in answered(connection).lower()
        process.terminate()
        not_ready(url)
        connection.sendall(GET)
        answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer.lower()
        process.terminate()  # the second one ends it at once
        assert process.wait(PATIENCE_S) == 0


def test_tls_is_spoken_and_nothing_else_on_its_port(repository, tmp_path, workers):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    flags = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    with serving(repository, *workers, *flags) as (url, _):
        assert url.startswith("https://")
        answer = httpx.post(f"{url}/v1/classify", content=plain("red"), verify=context)
        assert answer.json()["predictions"][0]["classes"][0]["label"] == "red"
        assert told(url, GET) == b""
    wrong = run(
        "serve", "--repository", repository, "--tls-cert", tmp_path / "key.pem", "--tls-key", tmp_path / "key.pem"
    )
    assert (wrong.returncode, "tls_cert" in wrong.stderr) == (2, True)
    half = run("serve", "--repository", repository, "--tls-cert", tmp_path / "cert.pem")
    assert (half.returncode, "tls_key" in half.stderr) == (2, True)


def test_no_key_and_nothing_of_a_request_is_logged(repository):
    made = run("key", "--name", "ci")
    secret = made.stderr.split()[-1]
    (repository.parent / "keys.toml").write_text(made.stdout)
    flags = ("--keys-file", str(repository.parent / "keys.toml"), "--access-log", "--log-level", "debug")
    with serving(repository, *flags) as (url, process):
        for authorization in (f"Bearer {secret}", f"Bearer wrong-{secret}", secret):
            httpx.post(
                f"{url}/v1/models/marker%0amarker/classify?marker=marker",
                content=b"marker" * 100,
                headers={"Authorization": authorization, "X-Marker": "marker", "Content-Type": "marker/marker"},
            )
        answer = httpx.post(
            f"{url}/v1/classify", content=b"marker" * 100, headers={"Authorization": f"Bearer {secret}"}
        )
        assert answer.status_code == 415
        process.terminate()
        log = process.communicate(timeout=PATIENCE_S)[1]
    assert "POST" in log
    assert "marker" not in log
    assert secret not in log
