"""The threads beside the event loop: what blocks runs there, and it is known what has not ended."""

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_SWITCH_SECONDS = 0.001


def share_the_interpreter() -> None:
    """Let a thread that waits for the interpreter have it soon: answers wait for threads that are busy with images.

    Python's 5 milliseconds are longer than most of what such a thread does at a time; less than one costs more than it
    gives.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


class Threads(ThreadPoolExecutor):
    """An event loop's executor. A thread in native code cannot be stopped, so whoever ends asks whether one works."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="blocking")
        self._open: set[Future[Any]] = set()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def busy(self) -> bool:
        """True while something that was submitted has not ended."""
        return bool(self._open)
