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
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, Draining, ModelFailed, Overloaded, ServiceError, StartError, TooManyImages
from service.line import Line

Rows = NDArray[Any]  # (n, ...): the first axis counts images
Run = Callable[[Rows], Rows]  # n rows in, n answers out; blocking; must not keep its argument
Observe = Callable[[int, float], None]  # images and seconds of one model call; called in the instance's thread


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How a model gathers company. Sizes are in images, a request's images count each."""

    max_size: int = 32  # images in one model call
    window_ms: float = 0.0  # longest wait for company while an instance is idle; opens at the first request
    max_queue: int = 256  # images admitted and not yet running; one more is refused, at once
    deadline_ms: float = 30_000.0  # from admission to answer
    priority_levels: int = 1  # 1 is the most urgent; a more urgent ticket always goes first
    default_priority: int = 1  # level of a ticket that names none, or none that exists

    def __post_init__(self) -> None:
        if not 1 <= self.max_size <= self.max_queue:
            raise StartError(
                f"a batch of {self.max_size} and a queue of {self.max_queue} images: the batch wants at least 1, "
                "and the queue must hold a whole batch. Change max_batch or max_queue."
            )
        if not 1 <= self.default_priority <= self.priority_levels:
            raise StartError(
                f"the default priority {self.default_priority} of {self.priority_levels} levels: it wants to be one of "
                "them. Change default_priority or priority_levels."
            )

    def level(self, priority: int) -> int:
        """The level that a ticket of this priority gets."""
        return priority if 1 <= priority <= self.priority_levels else self.default_priority


@dataclass(frozen=True, slots=True)
class Answer:
    """What a ticket gets.

    rows: its share of the answers. queue_s: from `submit` to the call. run_s: the call. batch_size: images of the call.
    """

    rows: Rows
    queue_s: float
    run_s: float
    batch_size: int


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


class Ticket:
    """A seat in the queue, held from admission until its rows run. Leaving the `with` block gives everything back."""

    __slots__ = (
        "_batcher",
        "_future",
        "_timer",
        "deadline",
        "level",
        "patience_s",
        "queued",
        "rows",
        "seated",
        "size",
        "submitted",
    )

    def __init__(
        self, batcher: "Batcher", size: int, level: int, patience_s: float, future: "asyncio.Future[Answer]"
    ) -> None:
        self._batcher = batcher
        self._future = future
        self._timer: asyncio.TimerHandle | None = None
        self.size = size
        self.level = level  # of priority; 1 is the most urgent
        self.patience_s = patience_s
        self.deadline = time.monotonic() + patience_s
        self.rows: Rows | None = None
        self.submitted = 0.0
        self.seated = True  # counts as waiting
        self.queued = False

    @property
    def rank(self) -> int:
        """0 for the usual priority of its model, below for what is more urgent, above for what is less."""
        return self.level - self._batcher.policy.default_priority

    @property
    def departed(self) -> bool:
        """True once nobody waits for the answer: whoever works on the ticket may stop. Readable from any thread."""
        return self._future.done()

    @property
    def unanswered(self) -> bool:
        """True if the caller left, or leaves now, without an answer or an error."""
        return self._future.cancelled() or not self._future.done()

    def submit(self, rows: Rows) -> None:
        """Queue the ticket's rows, (size, ...); from any thread, once."""
        self._batcher.submit(self, rows)

    def fail(self, error: Exception) -> None:
        """Settle the ticket with an error, from any thread."""
        self._batcher.fail(self, error)

    async def answer(self) -> Answer:
        """Wait for the answer. Raises DeadlineExceeded, ModelFailed, Draining, or what `fail` was given."""
        return await self._future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batcher.leave(self)

    def settle(self, answer: Answer | Exception) -> None:
        """Give the caller the answer, if it still waits for one. On the loop only."""
        if self._future.done():  # its caller may have left; its batch-mates must not notice
            return
        if isinstance(answer, Answer):
            self._future.set_result(answer)
        else:
            self._future.set_exception(answer)
            self._future.exception()  # a caller that left never looks at it; that is no news

    def arm(self, timer: asyncio.TimerHandle) -> None:
        """Keep the deadline's timer, to be stopped when the ticket is left."""
        self._timer = timer

    def close(self) -> None:
        """Stop the timer and the wait."""
        if self._timer is not None:
            self._timer.cancel()
        self._future.cancel()
        self.rows = None


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
        ticket = Ticket(self, size, self.policy.level(priority), patience_s, self._loop.create_future())
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
        buffer = _Buffer(self.policy.max_size)
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
            if ticket.size > room or (batch and not _alike(batch[0], ticket)):
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


class _Buffer:
    """One instance's batch array, kept from call to call."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._array: Rows | None = None

    def join(self, parts: list[Rows]) -> Rows:
        """The parts as one array; valid until the next join."""
        if len(parts) == 1:
            return parts[0]
        shape, dtype = parts[0].shape[1:], parts[0].dtype
        if self._array is None or self._array.shape[1:] != shape or self._array.dtype != dtype:
            self._array = np.empty((self._max_size, *shape), dtype)
        return np.concatenate(parts, out=self._array[: sum(map(len, parts))])


def _settle(batch: list[Ticket], outcome: Rows | Exception, started: float, ended: float) -> None:
    if isinstance(outcome, Exception):
        for ticket in batch:
            ticket.settle(outcome)
        return
    size, end = len(outcome), 0
    for ticket in batch:
        begin, end = end, end + ticket.size
        ticket.settle(Answer(outcome[begin:end], started - ticket.submitted, ended - started, size))


def _alike(first: Ticket, other: Ticket) -> bool:
    """True if two tickets may share an array."""
    return (
        first.rows is not None
        and other.rows is not None
        and first.rows.shape[1:] == other.rows.shape[1:]
        and first.rows.dtype == other.rows.dtype
    )
