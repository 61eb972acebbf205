"""Threads that work in turns: fairly by model and key, within the memory set aside, one thread for small work alone.

Knows nothing of images. What waits is bounded by whoever submits.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)


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


class Pool:
    """A number of threads, and one more that takes only small work; all started with the first errand.

    memory: bytes that large errands may take together; one that takes more than all of it runs alone.
    """

    def __init__(self, threads: int, name: str, memory: int = 2**62) -> None:
        self._lanes = lanes()
        self._memory = memory
        self._taken = 0
        self._idle = 0  # threads for any work that wait for some
        self._closed = False
        self._started = False
        lock = threading.Lock()
        self._any, self._small = threading.Condition(lock), threading.Condition(lock)
        self._threads = [threading.Thread(target=self._run, name=f"{name}-small", args=(True,), daemon=True)] + [
            threading.Thread(target=self._run, name=f"{name}-{number}", args=(False,), daemon=True)
            for number in range(threads)
        ]

    def submit(self, errand: Errand) -> None:
        """Have it done in its turn. From any thread; dropped once the pool is closed."""
        with self._any:
            if self._closed:
                return
            errand.waiting = True
            self._lanes.put(errand)
            (self._any if self._idle or errand.memory else self._small).notify()
            first, self._started = not self._started, True
        if first:
            for thread in self._threads:
                thread.start()

    def withdraw(self, errand: Errand) -> None:
        """Take it back, if it has not begun; its share pays nothing. From any thread."""
        with self._any:
            if errand.waiting and not self._closed:
                self._take(errand, cost=0)
                self._any.notify()  # what it stood before may fit

    def close(self) -> None:
        """Let the threads end; what has not begun is dropped."""
        with self._any:
            self._closed = True
            self._lanes = lanes()
            self._any.notify_all()
            self._small.notify_all()

    def _run(self, only_small: bool) -> None:
        while errand := self._next(only_small):
            try:
                errand.work()
            except Exception:  # the edge of the thread: the next errand must not suffer for it
                log.exception("work of a pool")
            self._give_back(errand)
            del errand  # or it would hold its images until the next comes

    def _next(self, only_small: bool) -> Errand | None:
        with self._any:
            while not (errand := self._choose(only_small)):
                if self._closed:
                    return None
                self._wait(only_small)
            self._take(errand, errand.cost)
            self._taken += errand.memory
            if errand.memory and self._lanes:
                self._small.notify()  # this thread will be long: what is small has the other
            return errand

    def _wait(self, only_small: bool) -> None:
        if only_small:
            self._small.wait()
            return
        self._idle += 1
        self._any.wait()
        self._idle -= 1

    def _choose(self, only_small: bool) -> Errand | None:
        """The first of each lane whose turn it is, if it may run now. Large work that does not fit is not overtaken by
        large work that does, or the largest would never run."""
        for errand in self._lanes.heads():
            fits = not self._taken or self._taken + errand.memory <= self._memory
            if not errand.memory or (fits and not only_small):
                return errand
        return None

    def _take(self, errand: Errand, cost: float) -> None:
        errand.waiting = False
        self._lanes.remove(errand, cost)

    def _give_back(self, errand: Errand) -> None:
        if errand.memory:
            with self._any:
                self._taken -= errand.memory
                self._any.notify_all()
