"""The threads beside the event loop: what blocks runs there, and it is known what has not ended."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


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
