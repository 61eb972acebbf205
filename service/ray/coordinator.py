"""The coordinator: one process that serves nothing and has no model, and keeps all replicas together.

A change of what serves goes to every replica at once, and all change over together. Whoever is replaced, the
coordinator included, joins again: what it must know it is told then. Knows plain values alone, and nothing of Ray.
"""

import asyncio
import logging
from collections.abc import Sequence

from service.config import Settings
from service.handover import Facts, settled
from service.processes import Commands
from service.ray.seat import Seat, Task

log = logging.getLogger(__name__)
_WAIT_SECONDS = 2.0  # for something to do, before a replica asks again
UNKNOWN = "Unknown"  # in the place of an error: whoever asks has no seat, and wants to join again


class Coordinator:
    """What replicas ask of it, they ask by these methods. settings: those of the replicas."""

    def __init__(self, settings: Settings) -> None:
        self._seats: dict[int, Seat] = {}
        self._commands = Commands(settings, self._members, tuple)
        self._begun = False
        self._catching_up: set[asyncio.Task[None]] = set()

    async def join(self, called: str, number: int | None = None) -> Facts:
        """A seat for a replica: its number, and the models that it is to load first. number: of a seat it had."""
        for seat in [seat for seat in self._seats.values() if seat.called == called]:
            del self._seats[seat.number]  # its own, of before it lost its way
            seat.leave()
        if number is None or number in self._seats:
            number = max(self._seats, default=0) + 1
        self._seats[number] = Seat(number, called)
        return {"number": number, "load_models": self._commands.first_models()}

    async def fetch(self, number: int, after: int) -> list[Task] | None:
        """What there is to do for a replica beyond this task; None if it has no seat, or has lost it."""
        if (seat := self._seats.get(number)) is None:
            return None
        found = await seat.fetch(after, _WAIT_SECONDS)
        for other in list(self._seats.values()):
            if other.silent():
                log.warning("replica %s is gone", other.called)
                self._depart(other)
        return found if number in self._seats else None

    async def answer(self, number: int, task: int, error: str, facts: Facts) -> None:
        """Take what a replica answered to a task. error: the name of one that stands in the answer's place."""
        if seat := self._seats.get(number):
            seat.answer(task, error, facts)

    async def ask(self, number: int, what: str, facts: Facts) -> tuple[str, Facts]:
        """What a replica asks: the answer with an empty name, or the name of an error and what it says."""
        if (seat := self._seats.get(number)) is None:
            return UNKNOWN, {}
        return await settled(self._answer(seat, what, facts), what)

    async def leave(self, number: int) -> None:
        """A replica has served its time."""
        if seat := self._seats.get(number):
            self._depart(seat)

    async def _answer(self, seat: Seat, what: str, facts: Facts) -> Facts:
        if what == "started":
            return await self._start(seat, facts)
        if what == "state":
            seat.facts = facts
            self._tell_all()
            return {}
        return await self._commands.answer(seat, what, facts)

    async def _start(self, seat: Seat, facts: Facts) -> Facts:
        """A replica's models are loaded. One that served under an earlier coordinator knows what is wanted."""
        if not self._begun:
            self._begun = True
            self._commands.begin(facts["models"])
        elif facts["again"]:
            self._commands.adopt(facts["models"])
            for other in self._members():
                task = asyncio.ensure_future(self._commands.catch_up(other, other.facts["models"]))
                self._catching_up.add(task)
                task.add_done_callback(self._catching_up.discard)
        else:
            await self._commands.catch_up(seat, facts["models"])
        seat.joined, seat.facts = True, facts
        self._tell_all()
        return {"ready": self._ready()}

    def _members(self) -> Sequence[Seat]:
        return [seat for seat in self._seats.values() if seat.joined]

    def _ready(self) -> bool:
        members = self._members()
        return bool(members) and all(seat.ready for seat in members)

    def _depart(self, seat: Seat) -> None:
        del self._seats[seat.number]
        seat.leave()
        self._commands.departed(seat.number)
        self._tell_all()

    def _tell_all(self) -> None:
        for seat in self._members():
            seat.tell("whole", ready=self._ready())
