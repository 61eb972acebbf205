"""Threads that do the most urgent work first, and equal work in the order it came.

Knows nothing of images. What waits is bounded by whoever submits.
"""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
Work = Callable[[], None]


class Pool:
    """A number of threads, started with the first piece of work."""

    def __init__(self, threads: int, name: str) -> None:
        self._waiting: list[tuple[int, int, Work]] = []  # a heap of rank, order of arrival, work
        self._arrivals = itertools.count()
        self._changed = threading.Condition(threading.Lock())
        self._closed = False
        self._started = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]

    def submit(self, rank: int, work: Work) -> None:
        """Have it done; the lowest rank goes first. From any thread; dropped once the pool is closed."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._waiting, (rank, next(self._arrivals), work))
            self._changed.notify()
            first, self._started = not self._started, True
        if first:
            for thread in self._threads:
                thread.start()

    def close(self) -> None:
        """Let the threads end; what has not begun is dropped."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while work := self._next():
            try:
                work()
            except Exception:  # the edge of the thread: the next piece must not suffer for it
                log.exception("work of a pool")
            del work  # or it would hold its images until the next comes

    def _next(self) -> Work | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return heapq.heappop(self._waiting)[2] if self._waiting else None
