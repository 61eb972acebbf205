"""Versions that requests wait for: one load for all who want it, and who is let go to make room for it.

Knows neither how a version is loaded nor what serves: both are handed in.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from service.errors import DeadlineExceeded, NotReady

Key = tuple[str, int]  # a version: its model's name, its number


@dataclass(frozen=True, slots=True)
class Held:
    """A version in memory. used: when a request came to it or left it last. busy: somebody visits it. promised:
    somebody is on the way to it. pinned: to be kept until it is unloaded."""

    key: Key
    memory_bytes: int
    used: float
    busy: bool = False
    promised: bool = False
    pinned: bool = False


class Demand:
    """Loads that requests wait for. load: loads one version, or raises why not."""

    def __init__(self, load: Callable[[Key], Coroutine[Any, Any, None]]) -> None:
        self._load = load
        self._loads: dict[Key, asyncio.Task[None]] = {}
        self._awaited: Counter[Key] = Counter()

    async def have(self, key: Key, seconds: float) -> None:
        """Return when it was loaded. Raises DeadlineExceeded, or what the load raised: everybody who waits gets it."""
        task = self._loads.get(key)
        if task is None:
            task = self._loads[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(lambda done: self._forget(key, done))
        self._awaited[key] += 1
        try:
            done, _ = await asyncio.wait([task], timeout=max(0.0, seconds))
        finally:
            self._awaited[key] -= 1
        if not done:
            raise DeadlineExceeded(f"{key[0]} version {key[1]} was not loaded in time; ask again shortly")
        if error := task.exception():
            raise error

    def awaited(self, key: Key) -> bool:
        """True while somebody waits for it, or was told of it and has not come yet."""
        return self._awaited[key] > 0

    def victim(self, held: Iterable[Held], spared: Key) -> Key | None:
        """Whom to let go: the least recently used, if there is a choice one that nobody visits. None while those who
        waited for the others have still to come. Raises NotReady where every place is pinned."""
        free = [one for one in held if not one.pinned and one.key != spared]
        if not free:
            raise NotReady("no room for another version: what is in memory was loaded to stay; unload one")
        choice = [one for one in free if not (one.promised or self.awaited(one.key))]
        return min(choice, key=lambda one: (one.busy, one.used)).key if choice else None

    def _forget(self, key: Key, task: "asyncio.Task[None]") -> None:
        del self._loads[key]
        if not task.cancelled():
            task.exception()  # whoever waited has been told; where nobody did, nobody wants to know
        if not self._awaited[key]:
            del self._awaited[key]
