"""The doorbell: whole messages, in order, however slowly the other end hears; and an other end that goes."""

import asyncio
import threading

import pytest

from service.handover.bell import Bell, pair

pytestmark = pytest.mark.timeout(60)
RECORD = bytes(range(40))


class Heard:
    """An end that keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.gone = 0

    def hear(self, message: bytes) -> None:
        if message == b"bad":
            raise ValueError("bad")
        self.messages.append(message)

    def end(self) -> None:
        self.gone += 1

    async def until(self, size: int) -> bytes:
        async with asyncio.timeout(30):
            while sum(map(len, self.messages)) < size and not self.gone:
                await asyncio.sleep(0.001)
        return b"".join(self.messages)


async def test_what_is_said_at_once_is_heard_at_once() -> None:
    one, other = pair()
    heard, mute = Heard(), Heard()
    bell, there = Bell(one, mute.hear, mute.end), Bell(other, heard.hear, heard.end)
    bell.say([b"a", b"b", b"c"])
    assert await heard.until(3) == b"abc"
    assert heard.messages == [b"abc"]
    bell.say([RECORD] * 1000)
    assert await heard.until(3 + 40_000) == b"abc" + RECORD * 1000
    assert len(heard.messages) <= 5
    assert all(not len(message) % 40 for message in heard.messages[1:])  # no record is cut
    bell.close()
    there.close()


async def test_nothing_is_lost_where_the_other_end_hears_slowly() -> None:
    one, other = pair()
    heard, mute = Heard(), Heard()
    bell = Bell(one, mute.hear, mute.end)
    for _ in range(300):
        bell.say([RECORD] * 100)  # far more than a socket holds
    there = Bell(other, heard.hear, heard.end)
    assert await heard.until(300 * 4000) == RECORD * 30_000
    bell.close()
    there.close()


async def test_a_thread_waits_for_an_end_that_hears_slowly_and_not_for_one_that_was_closed() -> None:
    one, other = pair()
    heard, mute = Heard(), Heard()
    bell = Bell(one, mute.hear, mute.end)
    thread = threading.Thread(target=lambda: [bell.say_and_wait([RECORD] * 100) for _ in range(300)])
    thread.start()
    there = Bell(other, heard.hear, heard.end)
    assert await heard.until(300 * 4000) == RECORD * 30_000
    await asyncio.to_thread(thread.join, 30)
    there_is_nobody_to_hear = threading.Thread(target=lambda: [bell.say_and_wait([RECORD] * 100) for _ in range(300)])
    asyncio.get_running_loop().remove_reader(other)
    there_is_nobody_to_hear.start()
    bell.close()
    await asyncio.to_thread(there_is_nobody_to_hear.join, 30)
    assert not thread.is_alive() and not there_is_nobody_to_hear.is_alive()
    there.close()


async def test_an_end_that_goes_is_noticed_once_and_one_that_talks_nonsense_is_parted_with() -> None:
    for parting in (lambda bell: bell.close(), lambda bell: bell.say([b"bad"])):
        one, other = pair()
        heard, mute = Heard(), Heard()
        bell, there = Bell(one, mute.hear, mute.end), Bell(other, heard.hear, heard.end)
        parting(bell)
        await heard.until(1)
        assert heard.gone == 1 and there.closed
        there.close()
        bell.close()
