"""The owner of models, as its front ends know it: what it offers them, and what each of them has taken in hand.

A version that is taken out of service stays until the last front end has let go of it, so no request loses its model.
"""

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from functools import partial

from service.engine import LocalEngine, Served, Unloaded
from service.errors import ServiceError
from service.handover.channel import Channel
from service.handover.intake import Intake
from service.handover.offers import Offer, Offers
from service.handover.refusals import Facts, Gone

log = logging.getLogger(__name__)
_OFFER_SECONDS = 10.0  # for a front end to take in what is offered; then it is asked again
_PROMISE_SECONDS = 1.0  # a version that a front end waited for is kept for its first request
_SETTLE_SECONDS = 5.0  # longest that a change waits for front ends that do not answer


class _FrontEnd:
    """known: the edition of the offers that it serves."""

    def __init__(self, bell: socket.socket) -> None:
        self.ended = asyncio.Event()
        self.intake = Intake(bell, self.ended.set)
        self.known = 0


class ModelOwner:
    """Offers to front ends what an engine of this process serves."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._ends: dict[_FrontEnd, asyncio.Task[None]] = {}
        self._numbers = itertools.count(1)
        self._numbered: dict[tuple[str, int], tuple[int, Served]] = {}
        self._edition = 0
        self._changed = asyncio.Event()
        self._open = False
        engine.when_changed(self._change)

    def open(self) -> None:
        """Offer from now on what the engine has loaded."""
        self._open = True
        self._change()

    def meet(self, bell: socket.socket, letters: socket.socket) -> None:
        """Serve a front end, until it ends. The sockets are the owner's from now on."""
        end = _FrontEnd(bell)
        self._ends[end] = asyncio.ensure_future(self._serve(end, letters))

    async def settled(self) -> None:
        """Return when every front end serves what is offered now, but wait for none that does not answer."""
        edition = self._edition
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._until(lambda: all(end.known >= edition for end in self._ends))
        except TimeoutError:
            log.warning("a front end has not taken in a change within %g s", _SETTLE_SECONDS)

    async def left_alone(self) -> None:
        """Return when no front end is left."""
        await self._until(lambda: not self._ends)

    async def close(self) -> None:
        """Part with every front end."""
        tasks = list(self._ends.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, end: _FrontEnd, letters: socket.socket) -> None:
        channel = await Channel.over(letters, partial(self._answer, end))
        waits = [asyncio.ensure_future(wait()) for wait in (end.ended.wait, channel.closed.wait)]
        offering = asyncio.ensure_future(self._keep_offering(end, channel))
        try:
            await asyncio.wait([offering, *waits], return_when=asyncio.FIRST_COMPLETED)
            if offering.done():
                offering.result()
        except Exception:  # the edge of the task: the front end is parted with, and another takes its place
            log.exception("a front end cannot be served")
        finally:
            for task in (offering, *waits):
                task.cancel()
            end.intake.close()
            del self._ends[end]
            self._tell()
            await channel.close()

    async def _keep_offering(self, end: _FrontEnd, channel: Channel) -> None:
        while True:
            await self._until(lambda: self._open and end.known < self._edition)
            edition = self._edition
            try:
                await channel.ask("offers", _OFFER_SECONDS, **self._offers(end).as_facts())
            except Gone:
                return
            except TimeoutError:
                log.warning("a front end has not answered within %g s", _OFFER_SECONDS)
                continue
            end.known = edition
            self._tell()

    def _offers(self, end: _FrontEnd) -> Offers:
        """What there is now; the front end may visit it from here on."""
        catalog = self._engine.describe()
        ready = {(facts.name, facts.version): facts for facts in catalog.ready}
        served = self._engine.served()
        self._numbered = {key: self._numbered_as(key, one) for key, one in served.items()}
        for number, one in self._numbered.values():
            end.intake.enter(number, one)
        offers = (
            Offer(number, ready.get(key, one.facts), key in ready) for key, (number, one) in self._numbered.items()
        )
        return Offers(tuple(offers), catalog.broken, catalog.default, catalog.advice, catalog.on_demand, catalog.splits)

    def _numbered_as(self, key: tuple[str, int], served: Served) -> tuple[int, Served]:
        """A version keeps its number for as long as it serves; what takes its place has another."""
        known = self._numbered.get(key)
        return known if known is not None and known[1] is served else (next(self._numbers), served)

    async def _answer(self, end: _FrontEnd, what: str, facts: Facts) -> Facts:
        """What a front end asks and tells."""
        if what == "left":
            end.intake.leave(facts["number"])
            return {}
        if what == "have":
            await self._engine.have(facts["model"], facts["version"], facts["seconds"])
            found = self._engine.find(facts["model"], facts["version"])
            self._engine.served()[found.name, found.version].promise(_PROMISE_SECONDS)
            edition = self._edition
            await self._until(lambda: end.known >= edition or end not in self._ends)
            return {}
        if what == "unloaded":
            return {"names": [one.name for one in await self._engine.index() if isinstance(one, Unloaded)]}
        raise ServiceError(f"a front end asked for {what!r}, which this owner does not know")

    def _change(self) -> None:
        self._edition += 1
        self._tell()

    def _tell(self) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()

    async def _until(self, so: Callable[[], bool]) -> None:
        while not so():
            await self._changed.wait()
