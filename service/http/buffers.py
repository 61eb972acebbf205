"""The memory that bodies take, and what is made of them: counted, so that their sum is bounded. Knows no HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import Overloaded

_SMALL = 2**20  # a share of up to so many bytes may also take the part that is kept for small ones
_KEPT = 8  # that part is one eighth


class Buffers:
    """The bytes of all bodies held at once. The last eighth is kept for small ones: a few callers with large bodies do
    not keep the others out. From any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.held = 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """One request's share; given back when the request is left, and everybody who holds it has let go."""
        share = Share(self)
        share.hold()
        try:
            yield share
        finally:
            share.drop()

    def take(self, count: int, large: bool = False) -> None:
        """Count more bytes, or raise Overloaded."""
        most = self._most - (self._most // _KEPT if large else 0)
        with self._lock:
            if self.held + count > most:
                raise Overloaded("the bodies of other requests fill the memory set aside for them", retry_after_s=1)
            self.held += count

    def give(self, count: int) -> None:
        """Count less bytes."""
        with self._lock:
            self.held -= count


class Share:
    """What one request holds of the buffers: its body, every copy of it, until the last byte is let go."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._lock = threading.Lock()
        self._holders = 0
        self.held = 0

    def take(self, count: int) -> None:
        """Hold more bytes, or raise Overloaded."""
        self._buffers.take(count, large=self.held + count > _SMALL)
        self.held += count

    def give(self, count: int) -> None:
        """Hold less bytes: a copy is gone."""
        self.held -= count
        self._buffers.give(count)

    def hold(self) -> None:
        """One more holds the bytes."""
        with self._lock:
            self._holders += 1

    def drop(self) -> None:
        """One less does; the last gives everything back."""
        with self._lock:
            self._holders -= 1
            last = not self._holders
        if last:
            self.give(self.held)
