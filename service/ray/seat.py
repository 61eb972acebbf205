"""A replica as the coordinator knows it: what it is to do lies here until the replica fetches it.

Nobody can call a replica of Ray Serve by its name, so each of them asks again and again what there is for it to do.
"""

import asyncio
import itertools
import time
from typing import Any

from service.handover import Facts, Gone, refusal

Task = tuple[int, str, bool, Facts]  # its number, what is to be done, whether an answer is wanted, with which facts
GONE_SECONDS = 10.0  # a replica that has not asked for so long is no more


class Seat:
    """A replica's place. number: of the place. called: the replica's name."""

    def __init__(self, number: int, called: str) -> None:
        self.number = number
        self.called = called
        self.joined = False
        self.facts: Facts = {}  # what it said of itself last
        self._gone = False
        self._numbers = itertools.count(1)
        self._tasks: dict[int, Task] = {}
        self._asked: dict[int, asyncio.Future[Facts]] = {}
        self._news = asyncio.Event()
        self._seen = time.monotonic()

    @property
    def ready(self) -> bool:
        """True if it serves, and says that it lets requests in."""
        return self.joined and bool(self.facts.get("ready"))

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What it answers. Raises its ServiceError, Gone, or TimeoutError after so many seconds."""
        if self._gone:
            raise Gone
        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._put((number, what, True, facts))
            async with asyncio.timeout(limit_s):
                answered: Facts = await future
                return answered
        finally:
            del self._asked[number]

    def tell(self, what: str, **facts: Any) -> None:
        """Say something that wants no answer."""
        self._put((next(self._numbers), what, False, facts))

    async def fetch(self, after: int, wait_s: float) -> list[Task]:
        """What there is to do beyond this number, as soon as there is something. What came before was done."""
        self._seen = time.monotonic()
        self._tasks = {number: task for number, task in self._tasks.items() if number > after}
        if not self._tasks and not self._gone:
            self._news.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        return list(self._tasks.values())

    def answer(self, number: int, error: str, facts: Facts) -> None:
        """Take what the replica answered. error: the name of one that stands in the answer's place."""
        future = self._asked.get(number)
        if future is None or future.done():  # who asked waits no more
            return
        if error:
            future.set_exception(refusal(error, facts))
        else:
            future.set_result(facts)

    def silent(self) -> bool:
        """True if the replica has not asked for too long."""
        return time.monotonic() - self._seen > GONE_SECONDS

    def leave(self) -> None:
        """The replica is no more: whoever waits for it hears so."""
        self._gone = True
        self._news.set()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Gone())

    def _put(self, task: Task) -> None:
        self._tasks[task[0]] = task
        self._news.set()
