"""Threads that work in turns: fairly by model and key, within the memory set aside, one thread for small work alone.

Knows nothing of images. What waits is bounded by whoever submits.
"""

import logging
import threading

from service.decoding.turns import Errand, lanes

log = logging.getLogger(__name__)


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
