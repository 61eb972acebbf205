"""Tickets: a caller's seat, its rows, and its one answer. Knows no queue, and no thread but the caller's loop."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]  # (n, ...): the first axis counts images
Allocate = Callable[[tuple[int, ...], np.dtype[Any]], Rows]  # memory of a shape and type, like `numpy.empty`
Kind = tuple[tuple[int, ...], np.dtype[Any]]  # shape and type of a row


@dataclass(frozen=True, slots=True)
class Answer:
    """What a ticket gets.

    rows: its share of the answers, as they were finished. queue_s: from `submit` to the call, but for made_s, in which
    its rows were made where they run. run_s: the call. batch_size: images of the call.
    """

    rows: Any
    queue_s: float
    run_s: float
    batch_size: int
    made_s: float = 0.0


class Making(Protocol):
    """Rows that are yet to be made, by the instance that takes them: it calls `make`, or `forget`, and that once.

    kind: shape and type of a row.
    """

    @property
    def kind(self) -> "Kind":
        """Shape of a row, and its type."""
        ...

    def __len__(self) -> int:
        """How many rows."""
        ...

    def make(self, rows: Rows) -> None:
        """Write them; in an instance's thread. Raises a ServiceError, which its own ticket alone gets."""
        ...

    def forget(self) -> None:
        """Nobody waits for them; from any thread."""
        ...


Content = Rows | Making


class Desk(Protocol):
    """Where tickets are handed in: a batcher."""

    def submit(self, ticket: "Ticket", rows: Content) -> None:
        """Queue a ticket's rows."""

    def fail(self, ticket: "Ticket", error: Exception) -> None:
        """Settle a ticket with an error."""

    def leave(self, ticket: "Ticket") -> None:
        """Take back whatever a ticket still holds."""


class Stage(Enum):
    """How far a ticket has come; it never goes back."""

    SEATED = auto()  # admitted; its rows are being made
    QUEUED = auto()  # its rows wait for an instance
    TAKEN = auto()  # an instance has its rows
    DONE = auto()  # it holds nothing: settled early, or left


class Ticket:
    """A seat in the queue, held from admission until its rows run. Leaving the `with` block gives everything back.

    `enqueue`, `take` and `release` move it from stage to stage: they are its desk's alone, under the desk's lock.
    """

    __slots__ = (
        "_desk",
        "_future",
        "_rows",
        "_timer",
        "best",
        "deadline",
        "key",
        "level",
        "patience_s",
        "rank",
        "size",
        "stage",
        "submitted",
    )

    def __init__(
        self,
        desk: Desk,
        size: int,
        level: int,
        rank: int,
        patience_s: float,
        future: "asyncio.Future[Answer]",
        best: int = 0,
        key: str = "",
    ) -> None:
        self._desk = desk
        self._future = future
        self._timer: asyncio.TimerHandle | None = None
        self.size = size
        self.level = level  # of priority; 1 is the most urgent
        self.rank = rank  # 0 for the usual priority of its model, below for what is more urgent, above for what is less
        self.patience_s = patience_s
        self.best = best  # how much is to be worked out beside the answers; what that is, whoever finishes them knows
        self.deadline = time.monotonic() + patience_s
        self.key = key  # whose share of the queue it takes
        self._rows: Content | None = None
        self.submitted = 0.0
        self.stage = Stage.SEATED

    @property
    def waits(self) -> bool:
        """True from admission until its rows are taken, or it leaves."""
        return self.stage is Stage.SEATED or self.stage is Stage.QUEUED

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the answer: whoever works on the ticket may stop. Readable from any thread."""
        return self._future.done()

    @property
    def unanswered(self) -> bool:
        """True if the caller left, or leaves now, without an answer or an error."""
        return self._future.cancelled() or not self._future.done()

    def submit(self, rows: Content) -> None:
        """Queue the ticket's rows, (size, ...), or what makes them; from any thread, once."""
        self._desk.submit(self, rows)

    def fail(self, error: Exception) -> None:
        """Settle the ticket with an error, from any thread."""
        self._desk.fail(self, error)

    async def answer(self) -> Answer:
        """Wait for the answer. Raises DeadlineExceeded, ModelFailed, Draining, or what `fail` was given."""
        return await self._future

    def when_settled(self, told: Callable[["asyncio.Future[Answer]"], None]) -> None:
        """Have it said on the loop, in place of waiting: with an answer, an error, or cancelled for a ticket that was
        left before."""
        self._future.add_done_callback(told)

    def leave(self) -> None:
        """Give everything back; what the end of a `with` block does."""
        self._desk.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def settle(self, answer: Answer | Exception) -> None:
        """Give the caller the answer, if it still waits for one. On the loop only."""
        if self._future.done():  # its caller may have left; its batch-mates must not notice
            return
        if isinstance(answer, Answer):
            self._future.set_result(answer)
        else:
            self._future.set_exception(answer)
            self._future.exception()  # a caller that left never looks at it; that is no news

    def enqueue(self, rows: Content) -> None:
        """Its rows are there."""
        self._rows, self.submitted, self.stage = rows, time.monotonic(), Stage.QUEUED

    def kind(self) -> Kind:
        """Shape and type of a queued ticket's rows; tickets of one kind may share an array."""
        rows = self._queued()
        return (rows.shape[1:], rows.dtype) if isinstance(rows, np.ndarray) else rows.kind

    def take(self) -> Content:
        """Give a queued ticket's rows away: whoever has them may keep them, whatever becomes of the ticket."""
        rows = self._queued()
        self._rows, self.stage = None, Stage.TAKEN
        return rows

    def release(self) -> None:
        """Hold nothing any more."""
        if self._rows is not None and not isinstance(self._rows, np.ndarray):
            self._rows.forget()
        self._rows, self.stage = None, Stage.DONE

    def arm(self, timer: asyncio.TimerHandle) -> None:
        """Keep the deadline's timer, to be stopped when the ticket is left."""
        self._timer = timer

    def close(self) -> None:
        """Stop the timer and the wait."""
        if self._timer is not None:
            self._timer.cancel()
        self._future.cancel()

    def _queued(self) -> Content:
        if self._rows is None:
            raise RuntimeError(f"a ticket that is {self.stage.name} has no rows to give")
        return self._rows


class Part(NamedTuple):
    """A ticket's share of a model call: its rows are the call's own, and stay when the ticket's caller leaves."""

    ticket: Ticket
    rows: Rows
    made_s: float = 0.0


class Taken(NamedTuple):
    """A ticket that an instance has taken, and what is to become its rows."""

    ticket: Ticket
    content: Content


class Buffer:
    """One instance's batch array, kept from call to call."""

    def __init__(self, max_size: int, allocate: Allocate) -> None:
        self._max_size = max_size
        self._allocate = allocate
        self._array: Rows | None = None

    def array(self, kind: Kind) -> Rows:
        """Room for a whole batch of a kind; valid until it is asked for again."""
        shape, dtype = kind
        if self._array is None or self._array.shape[1:] != shape or self._array.dtype != dtype:
            self._array = self._allocate((self._max_size, *shape), dtype)
        return self._array
