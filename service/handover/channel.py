"""Messages between two processes over a socket that one of them inherited: asked and answered, or just told.

Whole, small and JSON. Knows nothing of what is said.
"""

import asyncio
import contextlib
import itertools
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from service.handover.refusals import Facts, Gone, refusal, settled

Answer = Callable[[str, Facts], Awaitable[Facts]]

_HEAD = struct.Struct(">I")
_MOST_BYTES = 64 * 2**20  # of one message


class Channel:
    """One side of a conversation. answer: what is asked or told here; a ServiceError goes back to who asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Facts]] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        self.closed = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def over(cls, one: socket.socket, answer: Answer) -> "Channel":
        """A channel over a connected socket, which is the channel's from now on."""
        reader, writer = await asyncio.open_unix_connection(sock=one)
        return cls(reader, writer, answer)

    async def ask(self, what: str, limit_s: float, **facts: Any) -> Facts:
        """What the other side answers. Raises its ServiceError, Gone, or TimeoutError after so many seconds."""
        if self.closed.is_set():
            raise Gone
        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send("ask", number, what, facts)
            async with asyncio.timeout(limit_s):
                answered: Facts = await future
                return answered
        finally:
            del self._asked[number]

    def tell(self, what: str, **facts: Any) -> None:
        """Say something that wants no answer; to nobody, if the other side is gone."""
        if not self.closed.is_set():
            self._send("tell", 0, what, facts)

    async def close(self) -> None:
        """Send what was said, and close."""
        self._writer.close()
        with contextlib.suppress(OSError):  # the other side may have closed before
            await self._writer.wait_closed()
        await self.closed.wait()

    def _send(self, kind: str, number: int, what: str, facts: Facts) -> None:
        body = json.dumps((kind, number, what, facts), separators=(",", ":")).encode()
        self._writer.write(_HEAD.pack(len(body)) + body)

    async def _read(self) -> None:
        try:
            while True:
                (size,) = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
                if size > _MOST_BYTES:
                    raise ConnectionError(f"a message of {size} bytes")
                self._take(*json.loads(await self._reader.readexactly(size)))
        except (asyncio.IncompleteReadError, OSError):
            pass  # it has ended, which is what `closed` says
        finally:
            self.closed.set()
            self._writer.close()
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(Gone())

    def _take(self, kind: str, number: int, what: str, facts: Facts) -> None:
        if kind in {"ask", "tell"}:
            task = asyncio.ensure_future(self._reply(kind, number, what, facts))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
            return
        future = self._asked.get(number)
        if future is None or future.done():  # too late: who asked waits no more
            return
        if kind == "answer":
            future.set_result(facts)
        else:
            future.set_exception(refusal(what, facts))

    async def _reply(self, kind: str, number: int, what: str, facts: Facts) -> None:
        name, said = await settled(self._answer(what, facts), what)
        if kind == "ask" and not self.closed.is_set():
            self._send("error" if name else "answer", number, name, said)
