"""The workers of a service: started, watched, replaced when they die, told to end. Serves no request.

A worker that dies loses its own requests; another takes its place, later each time it dies young. One that cannot start
ends the service: with the first start at once, later after some tries. One that is killed while it starts is no such
one, as long as others serve.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from service.config import PREFIX
from service.errors import StartError
from service.handover import Channel, Facts, Gone
from service.processes.handing import Hand

log = logging.getLogger(__name__)
_YOUNG_SECONDS = 30.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 30.0
_TRIES = 3  # of a worker that is to replace one
_REAP_SECONDS = 5.0

Answer = Callable[["Worker", str, Facts], Awaitable[Facts]]


class Worker:
    """A process that serves, as the supervisor knows it.

    listening: it may be given connections. joined: its models are loaded, and it serves with the others.
    """

    def __init__(self, number: int, process: "subprocess.Popen[bytes]", hand: Hand) -> None:
        self.number = number
        self.process = process
        self.hand = hand
        self.channel: Channel
        self.started = time.monotonic()
        self.listening = self.joined = False
        self.facts: Facts = {}  # what it said of itself last
        self.reason = ""  # why it could not start

    @property
    def ready(self) -> bool:
        """True if it serves, and says that it lets requests in."""
        return self.joined and bool(self.facts.get("ready"))

    async def ask(self, what: str, limit_s: float, **facts: object) -> Facts:
        """What it answers."""
        return await self.channel.ask(what, limit_s, **facts)

    def kill(self) -> None:
        """End it at once."""
        if self.process.poll() is None:
            self.process.kill()

    async def end(self) -> str:
        """Wait until it has ended, and say how."""
        await self.channel.closed.wait()
        self.hand.close()
        try:
            status = await asyncio.to_thread(self.process.wait, _REAP_SECONDS)
        except subprocess.TimeoutExpired:  # it speaks no more, and lives
            self.process.kill()
            status = await asyncio.to_thread(self.process.wait)
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


class History:
    """What became of the workers of one number, one after the other."""

    def __init__(self) -> None:
        self._young = self._failed = self._helpless = 0

    def note(self, joined: bool, lived_s: float, helpless: bool) -> None:
        """Note an end. joined: it had served. helpless: it said why it could not start, or nobody else serves."""
        if joined:
            self._failed = self._helpless = 0
            self._young = self._young + 1 if lived_s < _YOUNG_SECONDS else 0
        else:
            self._failed += 1
            self._helpless += helpless

    @property
    def hopeless(self) -> bool:
        """True once another try would be one of a loop."""
        return self._helpless >= _TRIES

    def wait_s(self) -> float:
        """Seconds until the next is started."""
        return float(min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(self._young + self._failed, 20)))


class Crew:
    """All workers. answer: what they ask and tell. changed: told of every change of who serves. departed: told the
    number of a worker that has ended."""

    def __init__(
        self, number: int, answer: Answer, changed: Callable[[], None], departed: Callable[[int], None]
    ) -> None:
        self._number = number
        self._answer = answer
        self._changed = changed
        self._departed = departed
        self._keepers: list[asyncio.Task[None]] = []
        self._complete = False  # every worker of the first start has joined
        self._leaving = self._ending = False
        self.workers: dict[int, Worker] = {}
        self.replaced = 0
        self.listening = asyncio.Event()  # all of them, once
        self.joined = asyncio.Event()
        self.broken: asyncio.Future[StartError] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Start every worker."""
        self._keepers = [asyncio.ensure_future(self._keep(number + 1)) for number in range(self._number)]
        for keeper in self._keepers:
            keeper.add_done_callback(self._lament)

    def members(self) -> list[Worker]:
        """Those that serve."""
        return [worker for worker in self.workers.values() if worker.joined]

    def hands(self) -> list[Hand]:
        """Of those that may be given connections: the ready ones, else those that serve, else those that listen."""
        for kind in (self._ready(), self.members(), [one for one in self.workers.values() if one.listening]):
            if kind:
                return [worker.hand for worker in kind]
        return []

    def ready(self) -> bool:
        """True if every worker that serves is ready, and the first start is over."""
        members = self.members()
        return self._complete and bool(members) and all(worker.ready for worker in members)

    def hear(self, worker: Worker, facts: Facts) -> None:
        """Note what a worker says of itself."""
        worker.facts = facts
        if not facts["alive"] and not self._leaving:
            log.error("worker %d is beyond help and is replaced; /v1/models said why", worker.number)
            worker.kill()
        self._tell_all()

    def listens(self, worker: Worker) -> None:
        """Note that a worker takes connections."""
        worker.listening = True
        if len(self.workers) == self._number and all(one.listening for one in self.workers.values()):
            self.listening.set()
        self._changed()

    def join(self, worker: Worker, facts: Facts) -> None:
        """Note that a worker's models are loaded."""
        worker.joined, worker.facts = True, facts
        if len(self.members()) == self._number:
            self._complete = True
            self.joined.set()
        self._tell_all()
        self._even_out()

    async def leave(self, limit_s: float) -> None:
        """Have every worker be ready no more. From now on each ends in its own time, whatever it is at."""
        self._leaving = True
        await self._ask_all("leave", limit_s)

    async def close_door(self, limit_s: float) -> None:
        """Have every worker let nobody in any more."""
        await self._ask_all("close", limit_s)

    async def _ask_all(self, what: str, limit_s: float) -> None:
        """Ask every worker that serves, and wait for those that answer in time."""
        asked = (worker.ask(what, limit_s) for worker in self.members())
        for found in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(found, BaseException) and not isinstance(found, Gone | TimeoutError):
                raise found

    async def end(self, limit_s: float, **facts: Any) -> None:
        """Tell every worker to end; return when all have, or after so many seconds."""
        self._ending = True
        for number, keeper in enumerate(self._keepers):
            if number + 1 not in self.workers:  # it waits to start another
                keeper.cancel()
        for worker in self.workers.values():
            worker.channel.tell("end", **facts)
        await asyncio.wait(self._keepers, timeout=limit_s)

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
            self.replaced += worker.joined
            history.note(worker.joined, time.monotonic() - worker.started, bool(worker.reason or not self.members()))
            if history.hopeless or not (worker.joined or self._complete):
                self._break(number, worker.reason or f"it {how}")
                return
            wait_s = history.wait_s()
            log.error("worker %d %s: %s; another is started in %.1f s", number, how, _loss(worker), wait_s)
            await asyncio.sleep(wait_s)

    async def _spawn(self, number: int) -> Worker:
        talk, its_talk = socket.socketpair()
        hand, its_hand = socket.socketpair()
        with its_talk, its_hand:
            ends = (its_talk.fileno(), its_hand.fileno())
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "service.processes.worker", *map(str, ends)],
                stdin=subprocess.DEVNULL,
                pass_fds=ends,
                env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            )
        worker = Worker(number, process, Hand(hand))

        async def answer(what: str, facts: Facts) -> Facts:
            return await self._answer(worker, what, facts)

        worker.channel = await Channel.over(talk, answer)
        self.workers[number] = worker
        return worker

    def _tell_all(self) -> None:
        self._changed()
        for worker in self.members():
            worker.channel.tell("whole", ready=self.ready())

    def _lament(self, keeper: "asyncio.Task[None]") -> None:
        """A worker that cannot even be started ends the service."""
        if not keeper.cancelled() and (error := keeper.exception()):
            log.error("a worker cannot be started", exc_info=error)
            self._break(0, f"a worker cannot be started: {error}")

    def _break(self, number: int, reason: str) -> None:
        if not self.broken.done():
            self.broken.set_result(
                StartError(reason if not self._complete else f"worker {number} cannot start: {reason}")
            )


def _loss(worker: Worker) -> str:
    if not worker.joined:
        return worker.reason or "it had not started"
    return "the requests on its connections are lost"
