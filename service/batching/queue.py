"""The line in which tickets wait: by level of priority, and in order within a level.

Knows nothing of threads: whoever uses it holds the lock.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What a line needs to know of who stands in it."""

    @property
    def level(self) -> int:
        """1 is the most urgent."""
        ...

    @property
    def submitted(self) -> float:
        """When it came, by time.monotonic(); never before one that came earlier."""
        ...


T = TypeVar("T", bound=Waiting)


class TicketQueue(Generic[T]):
    """One queue a level; the first is the oldest of the most urgent level that has anybody."""

    def __init__(self, levels: int) -> None:
        self._queues: tuple[deque[T], ...] = tuple(deque() for _ in range(levels))

    def __bool__(self) -> bool:
        return any(self._queues)

    def append(self, ticket: T) -> None:
        """Stand at the end of its level."""
        self._queues[ticket.level - 1].append(ticket)

    def first(self) -> T:
        """Whose turn it is; only where somebody waits."""
        return next(queue for queue in self._queues if queue)[0]

    def remove(self, ticket: T) -> None:
        """Leave the line; cheap for the first of a level."""
        queue = self._queues[ticket.level - 1]
        if queue[0] is ticket:
            queue.popleft()
        else:
            queue.remove(ticket)

    def waiting_since(self) -> float:
        """When the one who waits longest came, whatever its level."""
        return min(queue[0].submitted for queue in self._queues if queue)
