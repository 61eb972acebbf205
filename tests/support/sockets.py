"""Bytes sent to a running service, and all that it says."""

import contextlib
import json
import socket

import httpx

from tests.support.images import plain
from tests.support.process import PATIENCE_S

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(url: str) -> socket.socket:
    host, _, port = url.partition("://")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def everything(connection: socket.socket) -> bytes:
    """What the service says until it closes the connection."""
    said = bytearray()
    try:
        while data := connection.recv(65536):
            said += data
    except ConnectionResetError:
        pass
    return bytes(said)


def answered(connection: socket.socket) -> bytes:
    """One whole answer to GET, from a connection that may stay open."""
    said = bytearray()
    while not said.endswith(b"}"):
        data = connection.recv(65536)
        assert data, bytes(said)
        said += data
    return bytes(said)


def told(url: str, request: bytes) -> bytes:
    with connect(url) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may refuse before it has read everything
            connection.sendall(request)
        return everything(connection)


def refused(answer: bytes, status: int, code: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["code"] == code


def still_serves(url: str) -> None:
    answer = httpx.post(f"{url}/v1/classify", content=plain("blue"), timeout=PATIENCE_S)
    assert answer.json()["predictions"][0]["classes"][0]["label"] == "blue"
