"""The workers of a service: started, watched, replaced when they die, told to end. Serves no request.

A worker that dies loses its own requests; another takes its place, later each time it dies young. One that cannot start
ends the service: with the first start at once, later after some tries. One that is killed while it starts is no such
one, as long as others serve.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from service.errors import StartError
from service.handover import Channel, Facts, Gone, ends
from service.processes.handing import Hand
from service.processes.hired import Worker
from service.processes.history import History
from service.processes.starting import Starter

log = logging.getLogger(__name__)
_LOST_SECONDS = 0.5  # after which an owner that has died is known to have

Answer = Callable[["Worker", str, Facts], Awaitable[Facts]]


class Crew:
    """All workers, and the owners of their models where there are any. starter: starts them. answer: what they ask and
    tell. changed: told of every change of who serves. departed: told the number of a worker that has ended. owners: how
    many; their numbers are beyond the workers'. ends_with_owner: none takes its place when one dies."""

    def __init__(
        self,
        number: int,
        starter: Starter,
        answer: Answer,
        changed: Callable[[], None],
        departed: Callable[[int], None],
        owners: int = 0,
        ends_with_owner: bool = False,
    ) -> None:
        self._number = number
        self._starter = starter
        self._owners = owners
        self._ends_with_owner = ends_with_owner
        self._answer = answer
        self._changed = changed
        self._departed = departed
        self._keepers: list[asyncio.Task[None]] = []
        self._complete = False  # every worker of the first start has joined
        self._leaving = self._ending = False
        self.workers: dict[int, Worker] = {}
        self.replaced = self.owners_replaced = 0
        self.listening = asyncio.Event()  # all of them, once
        self.joined = asyncio.Event()
        self.broken: asyncio.Future[StartError] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Start every worker."""
        number = self._number + self._owners
        self._keepers = [asyncio.ensure_future(self._keep(each + 1)) for each in range(number)]
        for keeper in self._keepers:
            keeper.add_done_callback(self._lament)

    def members(self) -> list[Worker]:
        """Those that serve; an owner takes no requests."""
        return [worker for worker in self.workers.values() if worker.joined and not worker.owner]

    def owners(self) -> list[Worker]:
        """Those that have models, where the workers have none."""
        return [worker for worker in self.workers.values() if worker.joined and worker.owner]

    def hands(self) -> list[Hand]:
        """Of those that may be given connections: the ready ones, else those that serve, else those that listen."""
        for kind in (self._ready(), self.members(), [one for one in self.workers.values() if one.listening]):
            if kind:
                return [worker.hand for worker in kind]
        return []

    def ready(self) -> bool:
        """True if every worker that serves is ready, of owners one, and the first start is over."""
        members = self.members()
        if self._owners and not any(owner.ready for owner in self.owners()):
            return False
        return self._complete and bool(members) and all(worker.ready for worker in members)

    def hear(self, worker: Worker, facts: Facts) -> None:
        """Note what a worker says of itself."""
        worker.facts = facts
        if not facts["alive"] and not self._leaving:
            log.error("%s is beyond help and is replaced; /v1/models said why", worker.name)
            worker.kill()
        self._tell_all()

    def listens(self, worker: Worker) -> None:
        """Note that a worker takes connections."""
        worker.listening = True
        if sum(one.listening for one in self.workers.values()) == self._number:
            self.listening.set()
        self._changed()

    def join(self, worker: Worker, facts: Facts) -> None:
        """Note that a worker's models are loaded."""
        worker.joined, worker.facts = True, facts
        if len(self.members()) == self._number and len(self.owners()) == self._owners:
            self._complete = True
            self.joined.set()
        self._tell_all()
        if not worker.owner:
            self._even_out()

    async def reintroduce(self, worker: Worker, number: int) -> None:
        """A front end has lost an owner: bring them together again, if that has not ended."""
        owner = self.workers.get(self._number + number)
        await asyncio.sleep(_LOST_SECONDS)
        if owner is not None and self.workers.get(owner.number) is owner and not self._ending:
            _bring_together(worker, owner)

    async def leave(self, limit_s: float) -> None:
        """Have every worker be ready no more. From now on each ends in its own time, whatever it is at."""
        self._leaving = True
        await self._ask_all("leave", limit_s, [*self.members(), *self.owners()])

    async def close_door(self, limit_s: float) -> None:
        """Have every worker let nobody in any more."""
        await self._ask_all("close", limit_s, self.members())

    async def _ask_all(self, what: str, limit_s: float, workers: list[Worker]) -> None:
        """Ask them, and wait for those that answer in time."""
        asked = (worker.ask(what, limit_s) for worker in workers)
        for found in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(found, BaseException) and not isinstance(found, Gone | TimeoutError):
                raise found

    async def end(self, limit_s: float, **facts: Any) -> None:
        """Tell every worker to end, and then the owners; return when all have, or after so many seconds."""
        self._ending = True
        for number, keeper in enumerate(self._keepers):
            if number + 1 not in self.workers:  # it waits to start another
                keeper.cancel()
        until = time.monotonic() + limit_s
        for owners, keepers in ((False, self._keepers[: self._number]), (True, self._keepers[self._number :])):
            for worker in self.workers.values():
                if bool(worker.owner) == owners:
                    worker.channel.tell("end", **facts)
            if keepers:
                await asyncio.wait(keepers, timeout=max(0.0, until - time.monotonic()))

    def kill(self) -> None:
        """End every worker now."""
        self._ending = True
        for keeper in self._keepers:
            keeper.cancel()
        for worker in self.workers.values():
            worker.kill()
        for worker in self.workers.values():
            worker.process.wait()

    def _even_out(self) -> None:
        """Have those that kept every caller while one was missing part with what is beyond their share."""
        members = self.members()
        share = -(-sum(worker.hand.open for worker in members) // len(members))
        for worker in members:
            if worker.hand.open > share + 1:
                worker.channel.tell("part", connections=worker.hand.open - share)

    def _ready(self) -> list[Worker]:
        return [worker for worker in self.members() if worker.ready]

    async def _keep(self, number: int) -> None:
        """Have a worker of that number, one after the other."""
        history = History()
        while not self._ending:
            worker = await self._spawn(number)
            how = await worker.end()
            del self.workers[number]
            self._departed(number)
            self._tell_all()
            if self._ending:
                return
            self.replaced += worker.joined and not worker.owner
            self.owners_replaced += worker.joined and bool(worker.owner)
            history.note(worker.joined, time.monotonic() - worker.started, self._helpless(worker))
            if worker.owner and worker.joined and self._ends_with_owner:
                self._break(f"{worker.name} {how} (owner_death says that the service ends with it)")
                return
            if history.hopeless or not (worker.joined or self._complete):
                reason = worker.reason or f"it {how}"
                self._break(f"{worker.name} cannot start: {reason}" if self._complete else reason)
                return
            wait_s = history.wait_s()
            log.error("%s %s: %s; another is started in %.1f s", worker.name, how, worker.loss(), wait_s)
            await asyncio.sleep(wait_s)

    def _helpless(self, worker: Worker) -> bool:
        """True where another try would go no better than this one. What an owner lacks, such as its device, another
        may have: while one serves, so does the service."""
        if worker.owner and self.owners():
            return False
        return bool(worker.reason or not self.members())

    async def _spawn(self, number: int) -> Worker:
        talk, its_talk = socket.socketpair()
        hand, its_hand = socket.socketpair()
        owner = max(0, number - self._number)
        with its_talk, its_hand:
            numbers = (its_talk.fileno(), its_hand.fileno())
            process = self._starter.start(bool(owner), numbers)
        worker = Worker(number, process, Hand(hand), owner, self._owners == 1)

        async def answer(what: str, facts: Facts) -> Facts:
            return await self._answer(worker, what, facts)

        worker.channel = await Channel.over(talk, answer)
        self.workers[number] = worker
        self._introduce(worker)
        return worker

    def _introduce(self, worker: Worker) -> None:
        """Bring a new worker together with every owner, or a new owner with every worker."""
        for other in list(self.workers.values()):
            if bool(other.owner) != bool(worker.owner):
                _bring_together(*((other, worker) if worker.owner else (worker, other)))

    def _tell_all(self) -> None:
        self._changed()
        for worker in self.members():
            worker.channel.tell("whole", ready=self.ready())

    def _lament(self, keeper: "asyncio.Task[None]") -> None:
        """A worker that cannot even be started ends the service."""
        if not keeper.cancelled() and (error := keeper.exception()):
            log.error("a worker cannot be started", exc_info=error)
            self._break(f"a worker cannot be started: {error}")

    def _break(self, reason: str) -> None:
        if not self.broken.done():
            self.broken.set_result(StartError(reason))


def _bring_together(front: Worker, owner: Worker) -> None:
    way, its_way = ends()
    front.hand.introduce(way, owner.owner)
    owner.hand.introduce(its_way, owner.owner)
