"""One answer on a connection: how it is written, and what a route is told of its caller."""

import asyncio
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from service.http.cycle import Cycle, hide_incoming, incoming_of

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}


class Wire:
    """Writes down what is written, call by call."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def resume_reading(self) -> None:
        """Nothing is ever paused."""


def cycle(wire: Wire, method: str = "POST", **more: Any) -> Cycle:
    wiring: dict[str, Any] = {
        "scope": {"type": "http", "method": method},
        "transport": wire,
        "flow": FlowControl(wire),
        "logger": None,
        "access_logger": None,
        "access_log": False,
        "default_headers": [],
        "message_event": asyncio.Event(),
        "expect_100_continue": False,
        "keep_alive": True,
        "on_response": lambda: None,
    }
    return Cycle(**{**wiring, **more})


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def sent(*messages: dict[str, Any], **wiring: Any) -> Wire:
    wire = Wire()
    answer = cycle(wire, **wiring)
    for message in messages:
        await answer.send(message)
    return wire


async def test_an_answer_is_written_at_once():
    wire = await sent(START, body(b"done"))
    assert wire.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone"]
    assert not wire.closed


async def test_a_large_body_is_not_copied_behind_its_head():
    large = bytes(100_000)
    wire = await sent({**START, "headers": [(b"Content-Length", b"100000")]}, body(large))
    assert [len(piece) for piece in wire.written][1] == 100_000 and len(wire.written) == 2


async def test_a_body_without_a_length_goes_in_pieces():
    wire = await sent({**START, "headers": []}, body(b"one", more=True), body(b"", more=True), body(b""))
    assert b"".join(wire.written) == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"


async def test_head_has_no_body_and_a_caller_that_wants_it_closed_gets_it_closed():
    wire = await sent(START, body(b"done"), method="HEAD", keep_alive=False)
    assert wire.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n"]
    assert wire.closed
    wire = await sent({**START, "headers": [(b"content-length", b"0"), (b"Connection", b"Close")]}, body(b""))
    assert wire.written[0].count(b"lose\r\n") == 1 and wire.closed


@pytest.mark.parametrize(
    "messages",
    [
        [body(b"first")],
        [START, START],
        [START, body(b"done"), body(b"more")],
        [START, body(b"short")],
        [START, body(b"no")],
        [{**START, "headers": [(b"x-evil", b"a\r\nset-cookie: b")]}],
        [{**START, "headers": [(b"x-evil", b"a\0b")]}],
    ],
    ids=["no head", "two heads", "two bodies", "too long", "too short", "line break", "zero"],
)
async def test_an_answer_that_is_none_is_an_error_of_the_app(messages):
    with pytest.raises(RuntimeError):
        await sent(*messages)


async def test_a_body_is_had_once_and_only_when_all_of_it_came():
    one = cycle(Wire())
    one.body += b"half"
    assert not one.complete() and one.whole() is None
    one.body += b" and half"
    one.more_body = False
    assert one.complete() and one.whole() == b"half and half"
    assert not one.complete() and one.whole() is None
    one.message_event.set()
    assert await one.receive() == {"type": "http.request", "body": b"", "more_body": False}
    waiting = cycle(Wire(), expect_100_continue=True)
    waiting.more_body = False
    assert not waiting.complete()  # its caller waits for a word, which `receive` gives


async def test_whoever_asks_is_told_when_the_caller_is_gone():
    told: list[str] = []
    one = cycle(Wire())
    one.when_gone(lambda: told.append("first"))
    one.when_gone(None)
    one.lost()
    assert told == []
    one.when_gone(lambda: told.append("late"))
    assert told == ["late"] and one.whole() is None
    assert await one.receive() == {"type": "http.disconnect"}


async def test_an_app_finds_the_request_in_its_scope_and_nobody_does_afterwards():
    seen: list[object] = []
    one = cycle(Wire())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(incoming_of(scope))
        hide_incoming(scope)
        seen.append(incoming_of(scope))
        await send(START)
        await send(body(b"done"))

    await one.run_asgi(app)
    assert seen == [one, None] and incoming_of(one.scope) is None
