"""A thread that makes calls one after the other, for what must always be called from the same thread.

It is a daemon, unlike those of `concurrent.futures`: a call that never returns must not keep the process from ending.
"""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Calls = SimpleQueue[tuple["Future[Any]", Callable[[], Any]] | None]


class Lane:
    """One thread; it ends when nobody has the lane any more."""

    def __init__(self, name: str) -> None:
        self._calls: _Calls = SimpleQueue()
        threading.Thread(target=_work, args=(self._calls,), name=name, daemon=True).start()
        weakref.finalize(self, self._calls.put, None)

    def call(self, what: Callable[[], T]) -> T:
        """Have it called in the lane's thread; returns or raises what it does."""
        future: Future[T] = Future()
        self._calls.put((future, what))
        return future.result()


def _work(calls: _Calls) -> None:
    while _turn(calls):
        pass


def _turn(calls: _Calls) -> bool:
    """One call; nothing of it stays when this returns."""
    call = calls.get()
    if call is None:
        return False
    future, what = call
    try:
        future.set_result(what())
    except BaseException as error:  # the edge of the thread: it reports to the caller
        future.set_exception(error)
    return True
