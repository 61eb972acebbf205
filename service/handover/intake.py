"""One front end as the owner of the models has it: its slots, its orders, and the versions that it may ask.

An order costs the owner's loop a seat in the queue and a line in a message; the pixels are copied by the instance that
takes them, and what a batch gives a front end goes to it as one message.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.batching import Answer, Ticket
from service.engine import Served
from service.errors import NotReady, ServiceError
from service.handover.bell import Bell
from service.handover.records import SlotOrder, SlotOutcome, orders
from service.handover.slots import mapped, rows_in

log = logging.getLogger(__name__)
_FLOATS = np.dtype(np.float32)


class Pixels:
    """What lies in a slot, for the instance that takes it. free: told once it is copied, or not wanted any more."""

    __slots__ = ("_free", "_rows", "kept", "kind")

    def __init__(self, rows: NDArray[Any], free: Callable[[], None]) -> None:
        self._rows = rows
        self._free = free
        self.kind = (rows.shape[1:], rows.dtype)
        self.kept = True  # somebody may still read the slot

    def __len__(self) -> int:
        return len(self._rows)

    def make(self, rows: NDArray[Any]) -> None:
        """Copy them."""
        rows[...] = self._rows
        self.forget()

    def forget(self) -> None:
        """They are wanted no more."""
        self.kept = False
        self._free()


class Intake:
    """What a front end orders. closed: told once, when it has ended."""

    def __init__(self, bell: socket.socket, closed: Callable[[], None]) -> None:
        """bell: its first message brings the memory of the front end's slots."""
        self._loop = asyncio.get_running_loop()
        self._closed = closed
        self._stands: dict[int, Served] = {}  # by number; they stay in service until it has let go of them
        self._tickets: dict[int, Ticket] = {}
        self._owed: dict[int, SlotOutcome] = {}  # until nobody reads their slots any more
        self._kept: dict[int, Pixels] = {}
        self._said: list[bytes] = []
        self._memory: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._floats: NDArray[np.float32] = np.empty(0, np.float32)  # the same, for logits
        self._bell: Bell | None = None
        bell.setblocking(False)
        self._loop.add_reader(bell, self._begin, bell)

    def enter(self, number: int, served: Served) -> None:
        """Let it visit a version, until it says that it has left."""
        if number not in self._stands:
            self._stands[number] = served
            served.hold()

    def leave(self, number: int) -> None:
        """It visits a version no more."""
        if (served := self._stands.pop(number, None)) is not None:
            served.leave()

    def close(self) -> None:
        """Forget it, with everything that it ordered."""
        if self._bell is not None:
            self._bell.close()
        for ticket in list(self._tickets.values()):
            ticket.leave()
        for number in list(self._stands):
            self.leave(number)

    def _begin(self, bell: socket.socket) -> None:
        """Take the slots, then orders."""
        try:
            _, files, _, _ = socket.recv_fds(bell, 64, 1)
        except BlockingIOError:
            return
        except OSError:
            files = []
        self._loop.remove_reader(bell)
        try:
            self._memory = mapped(files[0])
            self._floats = self._memory[: len(self._memory) // 4 * 4].view(_FLOATS)
        except (IndexError, OSError):  # it ended before it began, or no file can be opened here
            log.exception("a front end brings no slots")
            bell.close()
            self._closed()
        else:
            self._bell = Bell(bell, self._hear, self._closed)
        finally:
            for file in files:
                os.close(file)

    def _hear(self, message: bytes) -> None:
        for order in orders(message):
            if order.images:
                self._admit(order)
            elif ticket := self._tickets.get(order.number):
                ticket.leave()

    def _admit(self, order: SlotOrder) -> None:
        if order.number in self._kept:
            raise ValueError(f"number {order.number} is given twice")
        served = self._stands.get(order.stand)
        if served is None:
            self._answer(order.number, SlotOutcome(order.number, error=NotReady("this version serves no more")))
            return
        served.touch()
        shape, dtype = served.kind
        rows = rows_in(self._memory, order.slot, (order.images, *shape), dtype)
        rows.flags.writeable = False
        first = order.slot // _FLOATS.itemsize
        logits = slice(first, first + order.images * len(served.facts.manifest.classes))
        if logits.stop > len(self._floats):
            raise ValueError(f"logits of {order.images} images from {order.slot} do not lie in the memory")
        try:
            patience_s = order.deadline - time.monotonic()
            ticket = served.batcher.reserve(order.images, max(0.0, patience_s), order.level, key=order.key)
        except ServiceError as error:
            self._answer(order.number, SlotOutcome(order.number, error=error))
            return
        pixels = Pixels(rows, partial(self._freed, order.number))
        self._tickets[order.number], self._kept[order.number] = ticket, pixels
        ticket.when_settled(partial(self._settled, order.number, logits))
        ticket.submit(pixels)

    def _settled(self, number: int, logits: slice, future: "asyncio.Future[Answer]") -> None:
        ticket = self._tickets.pop(number)
        if future.cancelled():
            outcome = SlotOutcome(number, left=True)
        elif isinstance(error := future.exception(), ServiceError):
            outcome = SlotOutcome(number, error=error)
        elif error is not None:
            outcome = SlotOutcome(number, error=ServiceError(f"the request failed: {type(error).__name__}"))
        else:
            answer = future.result()
            self._floats[logits] = answer.rows.logits.ravel()
            outcome = SlotOutcome(number, answer.batch_size, answer.run_s)
        if not future.cancelled():
            ticket.leave()
        if self._kept[number].kept:  # its call is being put together; a moment
            self._owed[number] = outcome
        if not self._kept[number].kept:  # looked at once more: it may have been freed just now
            self._owed.pop(number, None)
            self._answer(number, outcome)

    def _freed(self, number: int) -> None:
        """Nobody reads a slot any more; from any thread."""
        if number in self._owed:
            self._loop.call_soon_threadsafe(self._pay, number)

    def _pay(self, number: int) -> None:
        if (outcome := self._owed.pop(number, None)) is not None:
            self._answer(number, outcome)

    def _answer(self, number: int, outcome: SlotOutcome) -> None:
        """Say it with what else is to be said before the loop turns again."""
        self._kept.pop(number, None)
        if not self._said:
            self._loop.call_soon(self._say)
        self._said.append(outcome.packed())

    def _say(self) -> None:
        said, self._said = self._said, []
        if self._bell is not None and not self._bell.closed:
            self._bell.say(said)
