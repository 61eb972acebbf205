"""The doorbell: whole small messages over a socket, both ways, without a copy of any pixel.

What is said between two turns of the loop, or at once by a thread, goes as one message: whoever hears it wakes once.
"""

import asyncio
import logging
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)
_MOST_BYTES = 16 * 1024  # of one message; far below what a socket takes at once
_AT_ONCE = 64  # messages between two turns of the loop
Way = tuple[socket.socket, socket.socket]
_PATIENCE_MS = 200  # from one look whether the bell is still there to the next


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a bell."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def ends() -> tuple[Way, Way]:
    """Both ends of a way between a front end and an owner: a bell, and a socket for letters."""
    (bell, its_bell), (letters, its_letters) = pair(), socket.socketpair()
    return (bell, letters), (its_bell, its_letters)


class Bell:
    """One end. hear: takes a message. gone: told once, when the other end is no more, or says what it must not."""

    def __init__(self, one: socket.socket, hear: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        self._socket = one
        self._hear = hear
        self._gone = gone
        self._unsaid: deque[bytes] = deque()
        self._lock = threading.Lock()
        self.closed = False
        one.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(one, self._come)

    def say(self, records: Sequence[bytes]) -> None:
        """Send them, now or as soon as the other end takes more; on the loop."""
        waiting = bool(self._unsaid)
        self._unsaid.extend(_messages(records))
        if not waiting:
            self._send()

    def say_and_wait(self, records: Sequence[bytes]) -> None:
        """Send them from a thread, which waits while the other end takes no more. Not beside `say`."""
        for message in _messages(records):
            while not self._sent(message):
                self._wait()

    def close(self) -> None:
        """Hear and say nothing more; on the loop."""
        if self.closed:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._unsaid.clear()
        with self._lock:
            self.closed = True
            self._socket.close()

    def _sent(self, message: bytes) -> bool:
        """False while the other end takes nothing; a message to one that has ended is as good as sent."""
        with self._lock:  # or its number could be another file's by the time it is used
            if self.closed:
                return True
            try:
                self._socket.send(message)
            except BlockingIOError:
                return False
            except OSError:  # it has ended, which is read at once
                pass
            return True

    def _wait(self) -> None:
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLOUT)
        except ValueError:  # it was closed a moment ago
            return
        poll.poll(_PATIENCE_MS)

    def _send(self) -> None:
        while self._unsaid:
            if not self._sent(self._unsaid[0]):
                self._loop.add_writer(self._socket, self._send_on)
                return
            self._unsaid.popleft()

    def _send_on(self) -> None:
        self._loop.remove_writer(self._socket)
        self._send()

    def _come(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                message = self._socket.recv(2 * _MOST_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            try:
                if message:
                    self._hear(message)
            except ValueError as error:
                log.error("a process of this service says what is not understood: %s", error)  # noqa: TRY400
                message = b""
            if not message:
                self.close()
                self._gone()
            if self.closed:
                return


def _messages(records: Sequence[bytes]) -> list[bytes]:
    """Records side by side, in as few messages as may be."""
    if len(records) == 1:
        return [records[0]]
    found: list[bytes] = []
    start = size = 0
    for index, record in enumerate(records):
        if size + len(record) > _MOST_BYTES:
            found.append(b"".join(records[start:index]))
            start, size = index, 0
        size += len(record)
    return [*found, b"".join(records[start:])]
