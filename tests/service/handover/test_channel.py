"""Messages between two processes: answers, errors, what is told, and an other side that goes."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.errors import ModelNotFound, ServiceError
from service.handover.channel import Answer, Channel
from service.handover.refusals import Facts, Gone

pytestmark = pytest.mark.timeout(30)


@asynccontextmanager
async def talking(answer: Answer) -> AsyncIterator[tuple[Channel, Channel]]:
    """Two ends; the second one answers."""

    async def nothing(what: str, facts: Facts) -> Facts:
        raise AssertionError(what)

    one, other = socket.socketpair()
    here, there = await Channel.over(one, nothing), await Channel.over(other, answer)
    try:
        yield here, there
    finally:
        await here.close()
        await there.close()


async def test_answers_find_those_who_asked_in_whatever_order_they_come() -> None:
    first = asyncio.Event()

    async def answer(what: str, facts: Facts) -> Facts:
        if facts["number"] == 0:
            await first.wait()
        if facts["number"] == 9:
            first.set()
        return {"twice": 2 * facts["number"], "what": what}

    async with talking(answer) as (here, _):
        found = await asyncio.gather(*(here.ask("double", 10, number=number) for number in range(10)))
    assert found == [{"twice": 2 * number, "what": "double"} for number in range(10)]


async def test_an_error_of_the_service_is_raised_where_it_was_asked_for() -> None:
    async def answer(what: str, facts: Facts) -> Facts:
        raise ModelNotFound("no such model", retry_after_s=3)

    async with talking(answer) as (here, _):
        with pytest.raises(ModelNotFound, match="no such model") as raised:
            await here.ask("load", 10)
    assert raised.value.retry_after_s == 3


async def test_a_fault_is_logged_where_it_happens_and_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(what: str, facts: Facts) -> Facts:
        raise ZeroDivisionError("a secret")

    async with talking(answer) as (here, _):
        with pytest.raises(ServiceError, match="log") as raised:
            await here.ask("divide", 10)
    assert "secret" not in raised.value.message
    assert "secret" in caplog.text


async def test_who_asks_is_told_when_the_other_side_ends_and_nobody_waits_beyond_a_limit() -> None:
    asked = asyncio.Event()

    async def answer(what: str, facts: Facts) -> Facts:
        asked.set()
        await asyncio.Event().wait()
        return {}

    async with talking(answer) as (here, there):
        with pytest.raises(TimeoutError):
            await here.ask("never", 0.01)
        waiting = asyncio.ensure_future(here.ask("never", 20))
        await asked.wait()
        await there.close()
        with pytest.raises(Gone):
            await waiting
        with pytest.raises(Gone):
            await here.ask("anything", 20)
        here.tell("anything")  # to nobody


async def test_what_is_told_comes_in_order_and_large_things_come_whole() -> None:
    heard: list[int] = []

    async def answer(what: str, facts: Facts) -> Facts:
        heard.append(len(facts["words"]))
        return {}

    async with talking(answer) as (here, _):
        for size in (3, 10**6, 5):
            here.tell("listen", words="x" * size)
        await here.ask("listen", 10, words="")
    assert heard == [3, 10**6, 5, 0]


async def test_a_message_of_no_reasonable_size_ends_the_conversation() -> None:
    one, other = socket.socketpair()

    async def answer(what: str, facts: Facts) -> Facts:
        return {}

    with other:
        channel = await Channel.over(one, answer)
        other.sendall(struct.pack(">I", 2**31))
        async with asyncio.timeout(10):
            await channel.closed.wait()
        assert channel.closed.is_set()
        await channel.close()
