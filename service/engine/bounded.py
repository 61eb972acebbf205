"""Surveys of a bounded time: a model whose load hangs, or is slow, does not hold the others up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from service.engine.survey import Item, Items, Stock

log = logging.getLogger(__name__)
Work = Callable[[], dict[int, Item]]
Late = Callable[[str, dict[int, Item]], Awaitable[None]]


class BoundedSurveys:
    """A stock's surveys, each in a thread. seconds: how long one is waited for; late: takes what comes after that."""

    def __init__(self, stock: Stock, seconds: float, late: Late) -> None:
        self._stock = stock
        self._seconds = seconds
        self._late = late
        self._open: dict[str, asyncio.Task[None]] = {}

    async def survey(self, name: str, known: Items, survey: Work) -> dict[int, Item]:
        """What a survey of the stock gives; after `seconds` what is known, and that the rest is being loaded."""
        if name not in self._open:
            work = asyncio.create_task(asyncio.to_thread(survey))
            await asyncio.wait([work], timeout=self._seconds)
            if work.done():
                return work.result()
            log.error("%s: not loaded within %g s; others go on, and it serves once it is", name, self._seconds)
            self._open[name] = asyncio.create_task(self._take_late(name, work))
        return await asyncio.to_thread(
            self._stock.unfinished, name, known, f"not loaded within {self._seconds:g} s (load_seconds)"
        )

    async def _take_late(self, name: str, work: "asyncio.Task[dict[int, Item]]") -> None:
        try:
            found = await work
        except Exception:  # the edge of the task: the next survey may go better
            log.exception("%s: its late load failed", name)
            return
        finally:
            del self._open[name]
        await self._late(name, found)
