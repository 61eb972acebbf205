"""Whose turn it is: shares by what each has had, ranks within a share, and order among equals.

Knows no thread and no image: whoever uses it holds the lock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


@dataclass(eq=False, slots=True)
class Errand:
    """A piece of work that waits for its turn.

    cost: of the work, in bytes; what its share pays. memory: that it takes while it runs, in bytes; 0 for small work,
    which has a lane of its own. rank: of two of one model the lower goes first.
    """

    work: Callable[[], None]
    cost: float = 1.0
    memory: int = 0
    model: str = ""
    rank: int = 0
    key: str = ""
    waiting: bool = field(default=False, init=False)

    @property
    def lane(self) -> str:
        """Small work never waits behind large work alone."""
        return "large" if self.memory else "small"


class Line(Protocol):
    """Errands in the order of their turns."""

    def __bool__(self) -> bool:
        """True while any waits."""
        ...

    def put(self, errand: Errand) -> None:
        """Add one."""
        ...

    def next(self) -> Errand:
        """Whose turn it is; only where any waits."""
        ...

    def remove(self, errand: Errand, cost: float) -> None:
        """Take one out, for its turn or because it is given up; its share pays the cost."""
        ...


class Queue:
    """In the order they came."""

    def __init__(self) -> None:
        self._errands: dict[Errand, None] = {}

    def __bool__(self) -> bool:
        return bool(self._errands)

    def put(self, errand: Errand) -> None:
        """Add one at the end."""
        self._errands[errand] = None

    def next(self) -> Errand:
        """The oldest."""
        return next(iter(self._errands))

    def remove(self, errand: Errand, cost: float) -> None:
        """Take one out, wherever it stands; there is nobody to pay."""
        del self._errands[errand]


Name = TypeVar("Name", str, int)


class Shares(Generic[Name]):
    """Lines that take turns so that each gets as much as the others, however much it brings.

    Every line has a clock that advances by what its errands cost, and the one that is furthest behind goes next. A line
    that was empty begins at the others' time: waiting for nothing earns nothing.
    """

    def __init__(self, name: Callable[[Errand], Name], inside: Callable[[], Line]) -> None:
        self._name: Callable[[Errand], Name] = name
        self._inside = inside
        self._lines: dict[Name, Line] = {}
        self._had: dict[Name, float] = {}
        self._now = 0.0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def put(self, errand: Errand) -> None:
        """Add one to its line."""
        name = self._name(errand)
        if name not in self._lines:
            self._lines[name] = self._inside()
            self._had[name] = max(self._had.get(name, 0.0), self._now)
        self._lines[name].put(errand)

    def next(self) -> Errand:
        """The next of the line that has had least."""
        return self.heads()[0]

    def heads(self) -> list[Errand]:
        """The next of each line, the line that has had least first."""
        return [self._lines[name].next() for name in sorted(self._lines, key=self._turn)]

    def remove(self, errand: Errand, cost: float) -> None:
        """Take one out; its line pays."""
        name = self._name(errand)
        if cost:
            self._now = max(self._now, self._had[name])
        self._had[name] += cost
        self._lines[name].remove(errand, cost)
        if not self._lines[name]:
            del self._lines[name]
        if not self._lines:
            self._had.clear()  # nobody is owed anything

    def _turn(self, name: Name) -> float:
        return self._had[name]


class Ranks(Shares[int]):
    """Lines of which the lowest rank always goes first."""

    def _turn(self, name: int) -> float:
        return name


def lanes() -> Shares[str]:
    """Small and large work share; within each the models; of a model the more urgent first, then its keys share."""
    by_key = lambda: Shares(lambda errand: errand.key, Queue)  # noqa: E731
    by_rank = lambda: Ranks(lambda errand: errand.rank, by_key)  # noqa: E731
    by_model = lambda: Shares(lambda errand: errand.model, by_rank)  # noqa: E731
    return Shares(lambda errand: errand.lane, by_model)
