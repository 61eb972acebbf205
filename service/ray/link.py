"""A replica's way to the coordinator: it asks and tells, and does what it is told. It joins again when it must.

Knows a handle whose methods can be called from afar; nothing else of Ray.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from service.handover import Facts, Gone, refusal, settled
from service.ray.coordinator import UNKNOWN
from service.ray.seat import Task

log = logging.getLogger(__name__)
Answer = Callable[[str, Facts], Awaitable[Facts]]
_MOMENT = 30.0  # far more than a call takes that waits for nothing
_PAUSE_SECONDS = 0.5


class ReplicaLink:
    """The way of one replica. handle: of the coordinator. called: the replica's name. lost: what a call raises when the
    coordinator is no more. answer: what is asked here. joined_again: told whenever there is a new coordinator."""

    def __init__(
        self,
        handle: Any,
        called: str,
        lost: tuple[type[Exception], ...],
        answer: Answer,
        joined_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._handle = handle
        self._called = called
        self._lost = lost
        self._silent: tuple[type[Exception], ...] = (*lost, TimeoutError)
        self._answer = answer
        self._joined_again = joined_again
        self._number: int | None = None
        self._listening: asyncio.Task[None] | None = None
        self._at_work: set[asyncio.Task[None]] = set()

    async def join(self) -> Facts:
        """Take a seat, and begin to listen. Raises what a call raises when there is no coordinator."""
        orders: Facts = await self._take_seat()
        self._listening = asyncio.ensure_future(self._listen())
        return orders

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What the coordinator answers. Raises its ServiceError, Gone, or TimeoutError after so many seconds."""
        try:
            async with asyncio.timeout(limit_s):
                error, said = await self._handle.ask.remote(self._number, what, facts)
        except self._lost as problem:
            raise Gone from problem
        if error == UNKNOWN:
            raise Gone
        if error:
            raise refusal(error, said)
        found: Facts = said
        return found

    def tell(self, what: str, **facts: Any) -> None:
        """Say something that wants no answer."""
        self._do(self._tell(what, facts))

    async def close(self) -> None:
        """Leave the seat, and listen no more."""
        if self._listening is None:
            return
        for task in (self._listening, *self._at_work):
            task.cancel()
        self._listening = None
        try:
            async with asyncio.timeout(_MOMENT):
                await self._handle.leave.remote(self._number)
        except self._silent:
            log.info("there is no coordinator to take leave of")

    async def _take_seat(self) -> Facts:
        async with asyncio.timeout(_MOMENT):
            orders: Facts = await self._handle.join.remote(self._called, self._number)
        self._number = orders["number"]
        return orders

    async def _tell(self, what: str, facts: Facts) -> None:
        try:
            await self.ask(what, _MOMENT, **facts)
        except (Gone, TimeoutError):  # whoever takes its place is told everything
            log.info("the coordinator could not be told of %s", what)

    async def _listen(self) -> None:
        done = 0
        while True:
            try:
                async with asyncio.timeout(_MOMENT):
                    found: list[Task] | None = await self._handle.fetch.remote(self._number, done)
                if found is None:
                    await self._take_seat()
                    done = 0
                    self._do(self._be_back())
            except self._silent as error:
                log.warning("the coordinator does not answer: %s", type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            for task in found or ():
                done = task[0]
                self._do(self._obey(task))

    async def _be_back(self) -> None:
        try:
            await self._joined_again()
        except (Gone, TimeoutError):  # it is gone too: the next one is joined as this one was
            log.warning("the coordinator was lost again")

    async def _obey(self, task: Task) -> None:
        number, what, wanted, facts = task
        error, said = await settled(self._answer(what, facts), what)
        if not wanted:
            return
        try:
            async with asyncio.timeout(_MOMENT):
                await self._handle.answer.remote(self._number, number, error, said)
        except self._silent:  # whoever asked is gone
            log.warning("nobody took the answer to %s", what)

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
