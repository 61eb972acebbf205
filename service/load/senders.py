"""The two ways of sending: callers who wait for their answers, and arrivals that wait for nobody.

Both run on one event loop and tell a recorder what became of each request.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable

from service.load.pacing import arrivals, pacer
from service.load.plan import ClosedPace, LoadPlan, OpenPace
from service.load.samples import LOST, REFUSED, TIMEOUT, WRONG, Recorder
from service.load.wire import Wire

_AGAIN_S = 0.1  # before a caller who was refused tries again, or he would do nothing else
_LOOK_S = 0.05  # between looks at the time and at requests that wait too long
_NO_END = 1e9

Fault = Callable[[bytes], str | None]  # what is wrong with an answer


class Sender:
    """What both ways share: requests in turn, answers, time limits. begin, end: of what is measured."""

    def __init__(self, plan: LoadPlan, recorder: Recorder, fault: Fault, begin: float) -> None:
        self.plan, self.recorder, self.begin = plan, recorder, begin
        self.end = begin + (plan.seconds if plan.seconds is not None else _NO_END)
        self.faults: list[str] = []
        self.stopped, self.unfinished = False, 0
        self.wires: set[Wire] = set()
        self.busy: dict[Wire, None] = {}
        self._fault, self._turn, self._measured = fault, 0, 0
        self._tls = ssl.create_default_context() if plan.address.tls else None
        self._jobs: set[asyncio.Task[None]] = set()

    async def run(self, look: Callable[[], bool]) -> None:
        """Send until the end, then wait for what is on its way. look: is called often; True ends it at once."""
        self.start()
        try:
            while not self.over or self.pending:
                await asyncio.sleep(_LOOK_S)
                self._give_up()
                if look():
                    break
        finally:
            self.stopped = True
            self.rest()
            # Those that are cut off here have not failed.
            self.unfinished = self.pending
            self.busy.clear()
            for job in self._jobs:
                job.cancel()
            for wire in self.wires:
                wire.abort()
            await asyncio.sleep(0)  # in which they close

    def start(self) -> None:
        raise NotImplementedError

    def rest(self) -> None:
        """It is over: what was started to keep the pace ends."""

    def opened(self, wire: Wire) -> None:
        raise NotImplementedError

    def free(self, wire: Wire) -> None:
        raise NotImplementedError

    def gone(self, wire: Wire) -> None:
        raise NotImplementedError

    def unopened(self, began: float, outcome: int) -> None:
        raise NotImplementedError

    @property
    def pending(self) -> int:
        """How many requests still wait for their answers."""
        return len(self.busy)

    @property
    def over(self) -> bool:
        """Is it time to send no more?"""
        most = self.plan.most_requests
        return self.stopped or time.perf_counter() >= self.end or (most is not None and self._measured >= most)

    def send(self, wire: Wire, intended: float, *, held: bool = False) -> None:
        self.send_turn(wire, self._turn, intended, held)
        self._turn += 1

    def send_turn(self, wire: Wire, turn: int, intended: float, held: bool) -> None:
        """Send a certain one of the requests."""
        wire.intended, wire.held, wire.sent = intended, held, time.perf_counter()
        wire.kept = None if turn % self.plan.check_every else bytearray()
        self.count(intended)
        self.busy[wire] = None
        wire.send(self.plan.requests[turn % len(self.plan.requests)])

    def count(self, intended: float) -> None:
        """A request was begun: towards the most of them, if it is measured."""
        self._measured += intended >= self.begin

    def settle(self, wire: Wire, now: float, outcome: int) -> None:
        """A request that was sent has come to its end."""
        self.recorder.add(wire.intended, wire.sent, now, outcome, held=wire.held)

    def answered(self, wire: Wire, status: int) -> None:
        now = time.perf_counter()
        if wire not in self.busy:  # an answer that nobody asked for
            wire.abort()
            return
        del self.busy[wire]
        if wire.kept is not None and (fault := self._fault(bytes(wire.kept))):
            self.faults.append(fault)
            status = WRONG if 200 <= status < 300 else status
        self.settle(wire, now, status)
        if wire.open:
            self.free(wire)

    def lost(self, wire: Wire) -> None:
        if wire in self.busy:
            del self.busy[wire]
            self.settle(wire, time.perf_counter(), LOST)
        if wire in self.wires and not self.stopped:
            self.wires.discard(wire)
            self.gone(wire)

    def open_wire(self) -> None:
        """Open one more connection, aside."""
        job = asyncio.get_running_loop().create_task(self._open())
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _open(self) -> None:
        began, address = time.perf_counter(), self.plan.address
        try:
            async with asyncio.timeout(self.plan.timeout_s):
                _, wire = await asyncio.get_running_loop().create_connection(
                    lambda: Wire(self), address.host, address.port, ssl=self._tls
                )
        except OSError as error:  # a TimeoutError is one too
            self.unopened(began, TIMEOUT if isinstance(error, TimeoutError) else REFUSED)
            return
        if wire.open:
            self.wires.add(wire)
            self.opened(wire)
        else:  # accepted, and closed at once
            self.unopened(began, LOST)

    def _give_up(self) -> None:
        now = time.perf_counter()
        for wire in [wire for wire in self.busy if now - wire.intended > self.plan.timeout_s]:
            del self.busy[wire]
            self.settle(wire, now, TIMEOUT)
            wire.abort()
        self.waited_too_long(now - self.plan.timeout_s)

    def waited_too_long(self, since: float) -> None:
        """Requests that wait for a connection since before this moment are given up."""


class ClosedSender(Sender):
    """Callers, each with a connection of its own."""

    def start(self) -> None:
        if not isinstance(self.plan.pace, ClosedPace):
            raise TypeError(f"a number of callers was wanted, not {self.plan.pace}")
        for _ in range(self.plan.pace.callers):
            self.open_wire()

    def opened(self, wire: Wire) -> None:
        self.free(wire)

    def free(self, wire: Wire) -> None:
        if not self.over:
            self.send(wire, time.perf_counter())

    def gone(self, wire: Wire) -> None:
        if not self.over:
            self.open_wire()

    def unopened(self, began: float, outcome: int) -> None:
        self.count(began)
        self.recorder.add(began, began, time.perf_counter(), outcome)
        if not self.over:
            asyncio.get_running_loop().call_later(_AGAIN_S, self.open_wire)


class OpenSender(Sender):
    """Arrivals at random moments, over as many connections as it takes."""

    def __init__(self, plan: LoadPlan, recorder: Recorder, fault: Fault, begin: float) -> None:
        super().__init__(plan, recorder, fault, begin)
        self._idle: deque[Wire] = deque()
        self._waiting: deque[float] = deque()  # moments of requests that have no connection yet
        self._opening = 0
        self._all_sent = False

    def start(self) -> None:
        if not isinstance(self.plan.pace, OpenPace):
            raise TypeError(f"a rate was wanted, not {self.plan.pace}")
        moments = arrivals(self.plan, self.plan.pace.rate, time.perf_counter(), self.end, self.begin)
        self._pacer = pacer(moments, self._due, self._finish)
        self._pacer.start()

    def rest(self) -> None:
        self._pacer.stop()

    @property
    def over(self) -> bool:
        return self._all_sent or super().over

    @property
    def pending(self) -> int:
        return len(self.busy) + len(self._waiting)

    def opened(self, wire: Wire) -> None:
        self._opening -= 1
        self.free(wire)

    def free(self, wire: Wire) -> None:
        if self._waiting:
            self.send(wire, self._waiting.popleft(), held=True)
        else:
            self._idle.append(wire)

    def gone(self, wire: Wire) -> None:
        if wire in self._idle:
            self._idle.remove(wire)
        self._open_more()

    def unopened(self, began: float, outcome: int) -> None:
        self._opening -= 1
        if self._waiting:
            self.recorder.add(self._waiting.popleft(), began, time.perf_counter(), outcome, held=True)
        self._open_more()

    def waited_too_long(self, since: float) -> None:
        now = time.perf_counter()
        while self._waiting and self._waiting[0] < since:
            self.recorder.add(self._waiting.popleft(), now, now, TIMEOUT, held=True)

    def _due(self, moments: list[float]) -> None:
        if self.stopped:
            return
        for moment in moments:
            if self._idle:
                # The longest idle: the last one that was answered would lead those who follow to the process that
                # answered it, while others of the service have nothing to do.
                self.send(self._idle.popleft(), moment)
            else:
                self._waiting.append(moment)
        self._open_more()

    def _open_more(self) -> None:
        while len(self._waiting) > self._opening and len(self.wires) + self._opening < self.plan.connections:
            self._opening += 1
            self.open_wire()

    def _finish(self) -> None:
        self._all_sent = True


def sender(plan: LoadPlan, recorder: Recorder, fault: Fault, begin: float) -> Sender:
    """The one that keeps the plan's pace."""
    kind = OpenSender if isinstance(plan.pace, OpenPace) else ClosedSender
    return kind(plan, recorder, fault, begin)
