"""The line in which tickets wait: by level of priority, fairly by key within a level, and in order within a key.

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
    def key(self) -> str:
        """Whose share it takes."""
        ...

    @property
    def size(self) -> int:
        """How much of that share, in images."""
        ...

    @property
    def submitted(self) -> float:
        """When it came, by time.monotonic(); never before one that came earlier."""
        ...


T = TypeVar("T", bound=Waiting)


class _Level(Generic[T]):
    """One level: a line for each key that has anybody, and how much each has had since then.

    A key that had nobody begins at the others' time: waiting for nothing earns nothing.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}
        self._had: dict[str, int] = {}
        self._now = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def append(self, ticket: T) -> None:
        """Stand at the end of its key's line."""
        line = self._lines.get(ticket.key)
        if line is None:
            line = self._lines[ticket.key] = deque()
            self._had[ticket.key] = max(self._had.get(ticket.key, 0), self._now)
        line.append(ticket)

    def first(self) -> T:
        """The oldest of the key that has had least."""
        if len(self._lines) == 1:
            (line,) = self._lines.values()
        else:
            line = self._lines[min(self._lines, key=self._turn)]
        return line[0]

    def remove(self, ticket: T, taken: bool) -> None:
        """Leave; a ticket that is taken pays with its key's share."""
        key = ticket.key
        line = self._lines[key]
        if line[0] is ticket:
            line.popleft()
        else:
            line.remove(ticket)
        if taken:
            self._now = max(self._now, self._had[key])
            self._had[key] += ticket.size
        if not line:
            del self._lines[key]
        if not self._lines:
            self._had.clear()  # nobody is owed anything
            self._now = 0

    def waiting_since(self) -> float:
        """When the one who waits longest came."""
        return min(line[0].submitted for line in self._lines.values())

    def _turn(self, key: str) -> tuple[int, float]:
        return self._had[key], self._lines[key][0].submitted


class TicketQueue(Generic[T]):
    """One line a level; the first is of the most urgent level that has anybody."""

    def __init__(self, levels: int) -> None:
        self._levels: tuple[_Level[T], ...] = tuple(_Level() for _ in range(levels))

    def __bool__(self) -> bool:
        return any(self._levels)

    def append(self, ticket: T) -> None:
        """Stand at the end of its level, or of its key's part of it."""
        self._levels[ticket.level - 1].append(ticket)

    def first(self) -> T:
        """Whose turn it is; only where somebody waits."""
        return next(level for level in self._levels if level).first()

    def remove(self, ticket: T, taken: bool = False) -> None:
        """Leave the line, because it was taken or because it is given up; cheap for the first of a key."""
        self._levels[ticket.level - 1].remove(ticket, taken)

    def waiting_since(self) -> float:
        """When the one who waits longest came, whatever its level."""
        return min(level.waiting_since() for level in self._levels if level)
