"""Connections are accepted by one process and served by another: their descriptors go through an inherited socket.

The port is the supervisor's alone: no connection waits in a worker that dies, none goes to one that is not ready, each
goes to the one that has the fewest, and with the supervisor the port is gone.
"""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Mapping, Sequence

from service.handover import Way

log = logging.getLogger(__name__)
MAIN, ADMIN = b"m", b"a"  # which port a connection came to
_WAYS = 128  # and an owner's number: what comes is a way to that owner of the models, or to one of its front ends

_AT_ONCE = 64  # connections between two turns of the loop
_PAUSE_SECONDS = 0.02


class Hand:
    """The supervisor's end of a worker's socket. open: connections that the worker has and has not ended."""

    def __init__(self, one: socket.socket) -> None:
        self._socket = one
        self._ways: list[tuple[Way, int]] = []  # still to be given
        self.open = self.given = 0
        one.setblocking(False)
        asyncio.get_running_loop().add_reader(one, self._ended)

    def give(self, port: bytes, connection: socket.socket) -> bool:
        """Give a connection away; False if the worker takes none at the moment."""
        try:
            socket.send_fds(self._socket, [port], [connection.fileno()])
        except OSError:  # it takes no more now, or it has died, which is noticed elsewhere
            return False
        self.open += 1
        self.given += 1
        return True

    def introduce(self, way: Way, owner: int) -> None:
        """Give it a way between a front end and an owner, as soon as it takes one. The sockets are the hand's from now
        on. owner: which, from 1."""
        self._ways.append((way, owner))
        self._give_ways()

    def close(self) -> None:
        """Give no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._let_go(self._ways)

    def _give_ways(self) -> None:
        while self._ways:
            way, owner = self._ways[0]
            try:
                socket.send_fds(self._socket, [bytes([_WAYS + owner])], [one.fileno() for one in way])
            except BlockingIOError:
                asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._give_ways)
                return
            except OSError:  # it has died, which is noticed elsewhere
                self._let_go(self._ways)
                return
            self._let_go(self._ways[:1])

    def _let_go(self, ways: list[tuple[Way, int]]) -> None:
        for each in list(ways):
            self._ways.remove(each)
            for one in each[0]:
                one.close()

    def _ended(self) -> None:
        try:
            ended = self._socket.recv(4096)
        except OSError:
            ended = b""
        if ended:
            self.open -= len(ended)
        else:
            asyncio.get_running_loop().remove_reader(self._socket)


class Taker:
    """A worker's end. take: what to do with a connection, by the port that it came to. meet: what to do with a way to
    an owner of the models, whose number it is told, or to a front end; None for one that could not be opened."""

    def __init__(
        self,
        one: socket.socket,
        take: Callable[[bytes, socket.socket], None],
        meet: Callable[[Way | None, int], None] = lambda _, __: None,
    ) -> None:
        self._socket = one
        self._take = take
        self._meet = meet
        self._untold = 0
        one.setblocking(False)
        asyncio.get_running_loop().add_reader(one, self._come)

    def ended(self) -> None:
        """Say that a connection has ended."""
        self._untold += 1
        with contextlib.suppress(OSError):  # said with the next one, or nobody is there to hear it
            self._untold -= self._socket.send(b"." * self._untold)

    def close(self) -> None:
        """Take no more."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def _come(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                port, descriptors, _, _ = socket.recv_fds(self._socket, 1, 2)
            except BlockingIOError:
                return
            except OSError:
                port, descriptors = b"", []
            if not port:
                asyncio.get_running_loop().remove_reader(self._socket)
                return
            if port[0] >= _WAYS:
                ends = [socket.socket(fileno=each) for each in descriptors]
                self._meet((ends[0], ends[1]) if len(ends) == 2 else None, port[0] - _WAYS)
                continue
            if not descriptors:  # this process may open no more files
                log.warning("a connection was lost: no file descriptor is free")
                self.ended()
                continue
            connection = socket.socket(fileno=descriptors[0])
            connection.setblocking(False)
            if connection.family in {socket.AF_INET, socket.AF_INET6}:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._take(port, connection)


class Reception:
    """Accepts for all workers. hands: of those that may be given connections now, the best; none to wait."""

    def __init__(self, listeners: Mapping[bytes, Sequence[socket.socket]], hands: Callable[[], Sequence[Hand]]) -> None:
        self._listeners = listeners
        self._hands = hands
        self._kept: tuple[bytes, socket.socket] | None = None
        self._accepting = self._closed = False
        for one in self._sockets():
            one.setblocking(False)

    def resume(self) -> None:
        """Accept, if there is anybody to give to."""
        if self._closed or self._accepting or not self._hands():
            return
        if self._kept is not None:
            port, connection = self._kept
            if not self._give(port, connection):
                self._later()
                return
            self._kept = None
        self._accepting = True
        for port, sockets in self._listeners.items():
            for one in sockets:
                asyncio.get_running_loop().add_reader(one, self._accept, port, one)

    def close(self) -> None:
        """Give away who has come, and close the ports."""
        if self._closed:
            return
        if self._accepting:
            for port, sockets in self._listeners.items():
                for one in sockets:
                    self._accept(port, one)
        self._pause()
        self._closed = True
        for one in self._sockets():
            one.close()
        if self._kept is not None:
            self._kept[1].close()

    def _accept(self, port: bytes, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            if not self._hands():
                self._pause()
                return
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    log.warning("no connection can be accepted now: %s", error.strerror)
                    self._pause()
                    self._later()
                return  # else nobody waits, or who did has left
            if not self._give(port, connection):
                self._kept = (port, connection)
                self._pause()
                self._later()
                return

    def _give(self, port: bytes, connection: socket.socket) -> bool:
        given = any(hand.give(port, connection) for hand in sorted(self._hands(), key=_burden))
        if given:
            connection.close()
        return given

    def _pause(self) -> None:
        self._accepting = False
        for one in self._sockets():
            asyncio.get_running_loop().remove_reader(one)

    def _later(self) -> None:
        asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self.resume)

    def _sockets(self) -> list[socket.socket]:
        return [one for sockets in self._listeners.values() for one in sockets]


def _burden(hand: Hand) -> tuple[int, int]:
    """The fewest connections first; among equals whoever was given the fewest."""
    return hand.open, hand.given
