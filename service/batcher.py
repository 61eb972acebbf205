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

from service.errors import DeadlineExceeded, Draining, ModelFailed, Overloaded, ServiceError, TooManyImages
from service.line import Line
from service.policy import BatchPolicy
from service.tickets import Answer, Buffer, Rows, Ticket, alike

Run = Callable[[Rows], Rows]  # n rows in, n answers out; blocking; must not keep its argument
Observe = Callable[[int, float], None]  # images and seconds of one model call; called in the instance's thread


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Counts since the start, in tickets unless named; `waiting` and `images` in images."""

    waiting: int
    calls: int
    images: int
    rejected: int
    expired: int
    departed: int
    failed_calls: int


class Batcher:
    """A bounded queue and the instances that empty it.

    runs: one blocking call per instance. policy: how to gather. observe: told of every call.
    Use: `start` on the loop; `with batcher.reserve(n) as ticket: ticket.submit(rows); await ticket.answer()`; `drain`.
    """

    def __init__(
        self, runs: Sequence[Run], policy: BatchPolicy, observe: Observe | None = None, name: str = "model"
    ) -> None:
        self.policy = policy
        self._observe = observe
        self._queue: Line[Ticket] = Line(policy.priority_levels)
        self._changed = threading.Condition(threading.Lock())
        self._waiting = 0  # images admitted and not yet running
        self._queued = 0  # images in the queue
        self._open: set[Ticket] = set()  # reserved and not left; of the loop alone
        self._closed = False
        self._stopping = False
        self._seconds_per_image = 0.0
        self._calls = self._images = self._rejected = self._expired = self._departed = self._failed = 0
        self._threads = [
            threading.Thread(target=self._work, args=(run,), name=f"batch-{name}-{number}", daemon=True)
            for number, run in enumerate(runs)
        ]

    def start(self) -> None:
        """Start the instances; answers will be given on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._all_left = asyncio.Event()
        self._all_left.set()
        for thread in self._threads:
            thread.start()

    def check(self, size: int = 1) -> None:
        """Raise what `reserve` would raise now: Draining, TooManyImages or Overloaded."""
        if self._closed:
            raise Draining("this model is being taken out of service; ask again shortly")
        if size > self.policy.max_size:
            raise TooManyImages(
                f"{size} images in one request; this model takes up to {self.policy.max_size}. Split the request."
            )
        if self._waiting + size > self.policy.max_queue:
            self._rejected += 1
            raise Overloaded(
                f"{self._waiting} images wait already, of at most {self.policy.max_queue}",
                retry_after_s=self._backlog_s(),
            )

    def reserve(self, size: int, deadline_s: float | None = None, priority: int = 0) -> Ticket:
        """Admit `size` images, whole or not at all; on the loop only.

        deadline_s: seconds from now, where shorter than the policy's. priority: 1 is the most urgent, 0 the default.
        """
        self.check(size)
        longest = self.policy.deadline_ms / 1000
        patience_s = longest if deadline_s is None else min(deadline_s, longest)
        level = self.policy.level(priority)
        rank = level - self.policy.default_priority
        ticket = Ticket(self, size, level, rank, patience_s, self._loop.create_future())
        ticket.arm(self._loop.call_later(patience_s, self._expire, ticket))
        with self._changed:
            self._waiting += size
        self._open.add(ticket)
        self._all_left.clear()
        return ticket

    def submit(self, ticket: Ticket, rows: Rows) -> None:
        """Queue a ticket's rows, from any thread."""
        if len(rows) != ticket.size:
            raise ValueError(f"{len(rows)} rows for a ticket of {ticket.size}")
        with self._changed:
            if not ticket.seated or ticket.departed:
                return  # its caller left while the rows were made
            ticket.rows, ticket.submitted, ticket.queued = rows, time.monotonic(), True
            first = not self._queue
            self._queue.append(ticket)
            self._queued += ticket.size
            if (
                first or self._queued >= self.policy.max_size
            ):  # an instance that gathers is woken only when it has enough
                self._changed.notify()

    def fail(self, ticket: Ticket, error: Exception) -> None:
        """Settle a ticket with an error, from any thread."""
        with self._changed:
            self._unseat(ticket)
        self._post(lambda: ticket.settle(error))

    def leave(self, ticket: Ticket) -> None:
        """Take back whatever a ticket still holds; on the loop only."""
        with self._changed:
            self._departed += ticket.unanswered
            self._unseat(ticket)
        ticket.close()
        self._open.discard(ticket)
        if not self._open:
            self._all_left.set()

    def statistics(self) -> BatchStatistics:
        """Counts since the start."""
        with self._changed:
            return BatchStatistics(
                self._waiting, self._calls, self._images, self._rejected, self._expired, self._departed, self._failed
            )

    async def drain(self) -> None:
        """Refuse new tickets, wait until every admitted one is settled and left, and stop the instances."""
        self._closed = True
        await self._all_left.wait()
        self.stop()

    def stop(self) -> None:
        """Stop now: what is not running gets Draining; a call that runs ends by itself and its tickets are settled."""
        self._closed = True
        with self._changed:
            self._stopping = True
            waiting = [ticket for ticket in self._open if ticket.seated]
            for ticket in waiting:
                self._unseat(ticket)
            self._changed.notify_all()
        for ticket in waiting:
            ticket.settle(Draining("the service is shutting down"))

    # What follows runs in the instances' threads.

    def _work(self, run: Run) -> None:
        buffer = Buffer(self.policy.max_size)
        while batch := self._take():
            started = time.monotonic()
            outcome = self._call(run, buffer.join([ticket.rows for ticket in batch if ticket.rows is not None]))
            self._finish(batch, outcome, started, time.monotonic())

    def _take(self) -> list[Ticket]:
        """The next batch, oldest first; empty only when the batcher stops."""
        with self._changed:
            while True:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return []
                self._gather()
                if batch := self._pop():
                    if self._queue:
                        self._changed.notify()  # enough is left for another instance
                    return batch

    def _gather(self) -> None:
        """Wait for company until the window of the oldest ticket closes, or a full batch is there."""
        while self._queue and self._queued < self.policy.max_size and not (self._closed or self._stopping):
            left = self._queue.waiting_since() + self.policy.window_ms / 1000 - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _pop(self) -> list[Ticket]:
        """Tickets that fit together, strictly in the line's order: none is overtaken by one of its own level."""
        batch: list[Ticket] = []
        room, now = self.policy.max_size, time.monotonic()
        while self._queue:
            ticket = self._queue.first()
            if ticket.deadline <= now:
                self._unseat(ticket)  # its timer is due and settles it
                continue
            if ticket.size > room or (batch and not alike(batch[0], ticket)):
                break
            batch.append(ticket)
            room -= ticket.size
            self._unseat(ticket, keep_rows=True)
        return batch

    def _unseat(self, ticket: Ticket, keep_rows: bool = False) -> None:
        """Free the ticket's seat, and its place in the queue; under the lock."""
        if ticket.queued:
            self._queue.remove(ticket)
            self._queued -= ticket.size
            ticket.queued = False
        if ticket.seated:
            self._waiting -= ticket.size
            ticket.seated = False
        if not keep_rows:
            ticket.rows = None

    def _call(self, run: Run, rows: Rows) -> Rows | Exception:
        try:
            answers = run(rows)
        except ServiceError as error:
            return error
        except Exception as error:  # the edge of the thread: it reports to the callers
            return ModelFailed(f"the model call failed: {type(error).__name__}")
        if len(answers) != len(rows):
            return ModelFailed(f"the model gave {len(answers)} answers for {len(rows)} images")
        return answers

    def _finish(self, batch: list[Ticket], outcome: Rows | Exception, started: float, ended: float) -> None:
        size, seconds = sum(ticket.size for ticket in batch), ended - started
        with self._changed:
            self._calls += 1
            self._images += size
            self._failed += isinstance(outcome, Exception)
            self._seconds_per_image += 0.1 * (seconds / size - self._seconds_per_image)
        self._post(lambda: _settle(batch, outcome, started, ended))
        if self._observe is not None:
            self._observe(size, seconds)

    def _post(self, callback: Callable[[], None]) -> None:
        """Run on the loop; a loop that is closed has nobody left to tell."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _expire(self, ticket: Ticket) -> None:
        with self._changed:
            if ticket.departed:
                return
            self._expired += 1
            self._unseat(ticket)
        ticket.settle(DeadlineExceeded(f"no answer within {ticket.patience_s * 1000:g} ms"))

    def _backlog_s(self) -> float:
        """Seconds until what waits now has run, at the recent pace."""
        return max(1.0, math.ceil(self._waiting * self._seconds_per_image / max(1, len(self._threads))))


def _settle(batch: list[Ticket], outcome: Rows | Exception, started: float, ended: float) -> None:
    if isinstance(outcome, Exception):
        for ticket in batch:
            ticket.settle(outcome)
        return
    size, end = len(outcome), 0
    for ticket in batch:
        begin, end = end, end + ticket.size
        ticket.settle(Answer(outcome[begin:end], started - ticket.submitted, ended - started, size))
