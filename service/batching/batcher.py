"""Dynamic batching: many callers, one model call.

Knows nothing of HTTP, images or ONNX: it moves tickets. A ticket is 1..n rows of one caller; it is never split.

The instances pull. Each has a thread that takes what waits, runs it, and takes again, so an idle instance starts at
once, company gathers while it is busy, and no turn of the event loop stands between two calls. Tickets go in from any
thread; answers come back, once each, to the loop that started the batcher.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from service.batching.health import CallLimits, InstanceHealth, Pulse, examine
from service.batching.instance import Finish, Instance, InstanceThread, Observe, Outcome, Run, as_they_are
from service.batching.pace import Pace
from service.batching.policy import BatchPolicy
from service.batching.seats import Seats
from service.batching.ticket import Allocate, Content, Rows, Taken, Ticket
from service.errors import DeadlineExceeded, Draining, NotReady, Overloaded, ServiceError, too_many

_LAST_SECONDS = 1.0  # for the calls that run when the batcher is stopped
_SHUTTING_DOWN = "the service is shutting down"
_NOBODY_LEFT = "no instance of this model is left; the service must be started again"


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Counts since the start, in tickets unless named; `waiting` and `images` in images."""

    waiting: int
    calls: int
    images: int
    rejected: int
    expired: int
    cancelled: int
    failed_calls: int
    unsound_instances: int  # now, not since the start


class Batcher:
    """A bounded queue and the instances that empty it.

    runs: one blocking call per instance. sample: one row that a sound model answers. policy: how to gather.
    limits: what calls may do before an instance takes no more. observe: told of every call. finish: makes of a call's
    answers what its tickets get parts of. buffers: where each instance has the memory of its batches from.
    Use: `start` on the loop; `with batcher.reserve(n) as ticket: ticket.submit(rows); await ticket.answer()`; `drain`.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        sample: Rows,
        policy: BatchPolicy,
        limits: CallLimits | None = None,
        observe: Observe | None = None,
        name: str = "model",
        finish: Finish = as_they_are,
        buffers: Sequence[Allocate] | None = None,
    ) -> None:
        self.policy = policy
        self._limits = limits or CallLimits()
        self._pace = Pace()
        self._seats = Seats(policy, self._pace)
        self._open: set[Ticket] = set()  # reserved and not left; of the loop alone
        self._closed = False
        self._lock = threading.Lock()  # of the counts that instances change
        self._seconds_per_image = 0.0
        self._calls = self._images = self._rejected = self._expired = self._cancelled = self._failed = 0
        self._pulses = [Pulse() for _ in runs]
        self._left = len(runs)  # instances that were not lost
        # A thread alone knows its instance and with it the model: no cycle keeps a model in memory when it has ended.
        self._threads = []
        allocates = buffers or [np.empty] * len(runs)
        for number, (run, pulse, allocate) in enumerate(zip(runs, self._pulses, allocates, strict=True)):
            called, largest = f"{name}, instance {number}", policy.max_size
            instance = Instance(called, run, sample, self, pulse, self._limits, largest, finish, allocate)
            self._threads.append(InstanceThread(instance, observe, f"batch-{name}-{number}"))

    def start(self) -> None:
        """Start the instances; answers will be given on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._all_left = asyncio.Event()
        self._all_left.set()
        for thread in self._threads:
            thread.start()

    def check(self, size: int = 1) -> None:
        """Raise what `reserve` would raise now: NotReady, Draining, TooManyImages or Overloaded."""
        if not self._left:
            raise NotReady(_NOBODY_LEFT)
        if self._closed:
            raise Draining("this model is being taken out of service; ask again shortly")
        if size > self.policy.max_size:
            raise too_many(size, self.policy.max_size)
        if self._seats.waiting + size > self.policy.max_queue:
            self._rejected += 1
            raise Overloaded(
                f"{self._seats.waiting} images wait already, of at most {self.policy.max_queue}",
                retry_after_s=self._backlog_s(),
            )

    def reserve(
        self,
        size: int,
        deadline_s: float | None = None,
        priority: int = 0,
        most_urgent: int | None = 1,
        best: int = 0,
        key: str = "",
    ) -> Ticket:
        """Admit `size` images, whole or not at all; on the loop only.

        deadline_s: seconds from now, where shorter than the policy's. priority: 1 is the most urgent, 0 the default.
        most_urgent: what may be asked for at most, None for the default; who asks for more gets that. best: what the
        answers are finished with; of a batch it is the most that any of its tickets asks for.
        key: whose share of the queue it takes.
        """
        self.check(size)
        longest = self.policy.deadline_ms / 1000
        patience_s = longest if deadline_s is None else min(deadline_s, longest)
        level = level_of(self.policy, priority, most_urgent)
        rank = level - self.policy.default_priority
        ticket = Ticket(self, size, level, rank, patience_s, self._loop.create_future(), best, key)
        ticket.arm(self._loop.call_later(patience_s, self._expire, ticket))
        self._seats.admit(ticket)
        self._open.add(ticket)
        self._all_left.clear()
        return ticket

    def submit(self, ticket: Ticket, rows: Content) -> None:
        """Queue a ticket's rows, or what makes them, from any thread."""
        self._seats.queue(ticket, rows)

    def fail(self, ticket: Ticket, error: Exception) -> None:
        """Settle a ticket with an error, from any thread."""
        self._seats.release(ticket)
        self._post(lambda: ticket.settle(error))

    def leave(self, ticket: Ticket) -> None:
        """Take back whatever a ticket still holds; on the loop only."""
        self._cancelled += ticket.unanswered
        if ticket.waits:  # it never will again, once an instance has taken it
            self._seats.release(ticket)
        ticket.close()
        self._open.discard(ticket)
        if not self._open:
            self._all_left.set()

    def statistics(self) -> BatchStatistics:
        """Counts since the start."""
        health = self.health()
        with self._lock:
            return BatchStatistics(
                self._seats.waiting,
                self._calls,
                self._images,
                self._rejected,
                self._expired,
                self._cancelled,
                self._failed,
                health.instances - health.sound,
            )

    def health(self) -> InstanceHealth:
        """Which instances take work now, and why the others do not."""
        return examine(self._pulses, self._limits, time.monotonic())

    async def drain(self) -> None:
        """Refuse new tickets, wait until every admitted one is settled and left, and stop the instances.

        A call that hangs does not keep it: its tickets have their deadlines, and nobody waits for its thread.
        """
        self._closed = True
        self._seats.hurry()
        await self._all_left.wait()
        self.stop()

    def stop(self) -> None:
        """Stop now: what is not running gets Draining at once; what runs a moment later, unless its call ends first."""
        self._closed = True
        self._seats.stop()
        self._turn_away(Draining(_SHUTTING_DOWN))
        if self._open:
            self._loop.call_later(_LAST_SECONDS, self._give_up)

    def _turn_away(self, error: ServiceError) -> None:
        """Settle every ticket that no instance has taken."""
        for ticket in self._open:
            if self._seats.release(ticket):
                ticket.settle(error)

    def _give_up(self) -> None:
        for ticket in self._open:
            ticket.settle(Draining(_SHUTTING_DOWN))

    # What follows is called by the instances, in their threads.

    def take(self) -> list[Taken]:
        """Wait for the next batch; empty only when the batcher stops."""
        return self._seats.take()

    def pause(self, seconds: float) -> bool:
        """Wait; False once the batcher stops."""
        return self._seats.pause(seconds)

    def ran(self, images: int, seconds: float, failed: bool, made_s: float = 0.0) -> None:
        """Count a model call. made_s: in which its rows were made before."""
        with self._lock:
            self._calls += 1
            # The tickets of a call that failed are run again, each alone.
            self._images += 0 if failed else images
            self._failed += failed
            if not failed:
                self._pace.add(images, made_s + seconds)
            self._seconds_per_image += 0.1 * (seconds / images - self._seconds_per_image)

    def settle(self, outcomes: list[Outcome]) -> None:
        """Give tickets what became of them."""
        self._post(lambda: _settle(outcomes))

    def gone(self) -> None:
        """An instance takes nothing any more; with the last one, whatever waits is told so."""
        with self._lock:
            self._left -= 1
            nobody = not self._left
        self._seats.wake()
        if nobody:
            self._post(lambda: self._turn_away(NotReady(_NOBODY_LEFT)))

    def _post(self, callback: Callable[[], None]) -> None:
        """Run on the loop; a loop that is closed has nobody left to tell."""
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _expire(self, ticket: Ticket) -> None:
        if ticket.cancelled:
            return
        self._expired += 1
        self._seats.release(ticket)
        ticket.settle(DeadlineExceeded(f"no answer within {ticket.patience_s * 1000:g} ms"))

    def _backlog_s(self) -> float:
        """Seconds until what waits now has run, at the recent pace."""
        return max(1.0, math.ceil(self._seats.waiting * self._seconds_per_image / max(1, len(self._threads))))


def level_of(policy: BatchPolicy, asked: int, most_urgent: int | None) -> int:
    """The level of a ticket that asks for one: the default for one that there is not, and never above what it may."""
    level = asked if 1 <= asked <= policy.priority_levels else policy.default_priority
    limit = policy.default_priority if most_urgent is None else most_urgent
    return max(level, min(limit, policy.default_priority))


def _settle(outcomes: list[Outcome]) -> None:
    for ticket, outcome in outcomes:
        ticket.settle(outcome)
