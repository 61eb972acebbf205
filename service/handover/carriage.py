"""What a front end has of one owner: slots of its own, the doorbell, and the parcels that the owner knows of.

One thread rings for all: what many hand in meanwhile goes as one message. It also makes rows that are quickly made.
"""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import NoReturn

import numpy as np

from service.batching import Answer, level_of
from service.errors import NotReady, Overloaded, ServiceError, TooManyImages, too_many
from service.handover.bell import Bell
from service.handover.parcel import Makes, Parcel
from service.handover.records import SlotOrder, SlotOutcome, outcomes
from service.handover.slots import Slots
from service.handover.stand import Stand
from service.handover.whole import AWAY
from service.ranking import rank

log = logging.getLogger(__name__)
_TOGETHER = 8  # parcels that are made before the owner is told of the first


_Work = SimpleQueue[bytes | tuple[Parcel, Makes] | None]


class Carriage:
    """The way to one owner. size: bytes of its slots. numbers: none of them is ever given twice in this process.
    lost: told once, when the owner has ended."""

    def __init__(self, bell: socket.socket, size: int, numbers: Iterator[int], lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots = Slots(size)
        self._numbers = numbers
        self._lost = lost
        self._known: dict[int, Parcel] = {}  # to the owner, which has still to say what became of them
        self._waited_for: set[Parcel] = set()  # by their callers; of the loop alone
        self._lock = threading.Lock()
        self._closed = False
        file = self._slots.give_away()
        socket.send_fds(bell, [b"slots"], [file])
        os.close(file)
        self._bell = Bell(bell, self._hear, self._end)
        self._work: _Work = SimpleQueue()
        threading.Thread(target=self._ring, name="doorbell", daemon=True).start()

    @property
    def closed(self) -> bool:
        """True once it takes nothing more."""
        return self._closed

    def check(self, stand: Stand, images: int = 1) -> None:
        """Raise what `parcel` would raise now, but for memory: NotReady, TooManyImages, Overloaded."""
        if self._closed:
            raise NotReady(AWAY, retry_after_s=1)
        if images > stand.facts.policy.max_size:
            raise too_many(images, stand.facts.policy.max_size)
        if stand.held + images > stand.room:
            self._refuse(stand, f"{stand.held} images have a slot already, of at most {stand.room}")

    def parcel(
        self,
        stand: Stand,
        images: int,
        priority: int,
        timeout_s: float | None,
        most_urgent: int | None,
        key: str,
        best: int,
    ) -> Parcel:
        """A seat and a slot for so many images, or none; on the loop. Raises what `check` raises."""
        self.check(stand, images)
        size = stand.size(images)
        if size > self._slots.size:
            raise TooManyImages(
                f"{images} images of this model take {size:,} bytes, and slots have {self._slots.size:,} "
                "(slot_bytes, shared among the front ends). Split the request, or raise slot_bytes."
            )
        if (slot := self._slots.lend(size, lambda: stand.hold(-images))) is None:
            self._refuse(stand, "no slot is free for the images of this request")
        stand.hold(images)
        policy = stand.facts.policy
        longest = policy.deadline_ms / 1000
        patience_s = longest if timeout_s is None else min(timeout_s, longest)
        level = level_of(policy, priority, most_urgent)
        deadline = time.monotonic() + patience_s
        order = SlotOrder(next(self._numbers), stand.number, images, slot.start, level, deadline, key)
        shape, dtype = stand.kind
        rows = self._slots.rows(slot, (images, *shape), dtype)
        parcel = Parcel(self, order, stand, slot, rows, patience_s, best)
        self._waited_for.add(parcel)
        return parcel

    def make(self, parcel: Parcel, rows: Makes) -> None:
        """Have a parcel's rows made, and send it."""
        self._work.put((parcel, rows))

    def send(self, parcel: Parcel) -> None:
        """Tell the owner of a parcel whose rows are in its slot; from any thread."""
        with self._lock:
            if order := self._announced(parcel):
                self._work.put(order)  # before a word of its caller's leaving

    def leave(self, parcel: Parcel) -> None:
        """Nobody waits for it any more: the owner may forget it, and its slot is free once everybody has let go."""
        self._waited_for.discard(parcel)
        with self._lock:
            parcel.left = True
            known = parcel.number in self._known
        if known:
            self._work.put(SlotOrder(parcel.number).packed())
        parcel.slot.drop()

    def settle_soon(self, parcel: Parcel, error: Exception) -> None:
        """Settle a parcel on the loop; from any thread."""
        try:
            self._loop.call_soon_threadsafe(parcel.settle, error)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def close(self, error: ServiceError) -> None:
        """Give up what the owner has not answered, with an error, and ring no more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            known, self._known = self._known, {}
        self._bell.close()
        self._work.put(None)
        for parcel in known.values():
            self._return(parcel)
        for parcel in self._waited_for:
            parcel.settle(error)

    @staticmethod
    def _refuse(stand: Stand, why: str) -> NoReturn:
        raise Overloaded(why, retry_after_s=stand.backlog_s())

    def _announced(self, parcel: Parcel) -> bytes | None:
        """What the owner is told, unless nobody waits for it any more; the lock is held."""
        if parcel.left or self._closed:
            return None
        parcel.sent = time.monotonic()
        self._known[parcel.number] = parcel
        parcel.slot.hold()
        parcel.stand.order(parcel.images)
        return parcel.order.packed()

    def _return(self, parcel: Parcel) -> None:
        """The owner has let go of it."""
        parcel.stand.order(-parcel.images)
        parcel.slot.drop()

    def _end(self) -> None:
        self.close(NotReady(AWAY, retry_after_s=1))
        self._lost()

    # What follows runs in the thread that rings.

    def _ring(self) -> None:
        while (first := self._work.get()) is not None:
            records = self._record(first)
            for _ in range(_TOGETHER):
                try:
                    more = self._work.get_nowait()
                except Empty:
                    break
                if more is None:
                    return
                records += self._record(more)
            if records:
                self._bell.say_and_wait(records)

    def _record(self, work: bytes | tuple[Parcel, Makes]) -> list[bytes]:
        if isinstance(work, bytes):
            return [work]
        parcel, rows = work
        if not self._made(parcel, rows):
            return []
        with self._lock:
            order = self._announced(parcel)
        return [order] if order else []

    def _made(self, parcel: Parcel, rows: Makes) -> bool:
        if parcel.cancelled or self._closed:
            rows.forget()
            return False
        started = time.monotonic()
        try:
            rows.make(parcel.rows)
        except ServiceError as error:
            parcel.fail(error.with_traceback(None))
            return False
        except Exception as error:  # the edge of the thread: the next parcel must not suffer for it
            log.exception("a parcel's rows")
            parcel.fail(ServiceError(f"its rows could not be made: {type(error).__name__}"))
            return False
        parcel.made_s = time.monotonic() - started
        return True

    # What follows runs on the loop, when the owner has rung.

    def _hear(self, message: bytes) -> None:
        answered: dict[Stand, list[tuple[Parcel, SlotOutcome]]] = {}
        for outcome in outcomes(message):
            with self._lock:
                parcel = self._known.pop(outcome.number, None)
            if parcel is None:
                raise ValueError(f"an outcome of number {outcome.number}, which was not asked for")
            if outcome.error is not None:
                parcel.settle(outcome.error)
            elif not (outcome.left or parcel.left):
                answered.setdefault(parcel.stand, []).append((parcel, outcome))
                continue
            self._return(parcel)
        for stand, found in answered.items():
            self._answer(stand, found)

    def _answer(self, stand: Stand, found: list[tuple[Parcel, SlotOutcome]]) -> None:
        """Rank what came together, together."""
        logits = np.concatenate(
            [self._slots.rows(parcel.slot, (parcel.images, stand.classes), np.dtype(np.float32)) for parcel, _ in found]
        )
        ranked = rank(logits, max(parcel.best for parcel, _ in found))
        now, end = time.monotonic(), 0
        for parcel, outcome in found:
            begin, end = end, end + parcel.images
            queue_s = max(0.0, now - parcel.sent - outcome.run_s)
            parcel.settle(Answer(ranked[begin:end], queue_s, outcome.run_s, outcome.batch_size, parcel.made_s))
            self._return(parcel)
        stand.ran(found[-1][1].batch_size, found[-1][1].run_s)
