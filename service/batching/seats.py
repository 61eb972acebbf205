"""Where tickets wait: their seats, their place in the line, and how instances take them. Knows no event loop.

Everything that moves a ticket from one stage to the next is here, under one lock, with the counts that go with it.
"""

import threading
import time

import numpy as np

from service.batching.pace import Company, Pace
from service.batching.policy import BatchPolicy
from service.batching.queue import TicketQueue
from service.batching.ticket import Content, Stage, Taken, Ticket


class Seats:
    """The seats of one model. pace: of its calls. Every method may be called from any thread."""

    def __init__(self, policy: BatchPolicy, pace: Pace) -> None:
        self._policy = policy
        self._pace = pace
        self._line: TicketQueue[Ticket] = TicketQueue(policy.priority_levels)
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # the line
        self._over = threading.Condition(lock)  # what an instance waits for that takes nothing
        self._queued = 0  # images in the line
        self._hurried = False
        self._stopped = False
        self.waiting = 0  # images with a seat that no instance has taken

    def admit(self, ticket: Ticket) -> None:
        """Give a new ticket its seat."""
        with self._changed:
            self.waiting += ticket.size

    def queue(self, ticket: Ticket, rows: Content) -> None:
        """Put a ticket with its rows into the line, unless its caller left while they were made."""
        if len(rows) != ticket.size:
            raise ValueError(f"{len(rows)} rows for a ticket of {ticket.size}")
        with self._changed:
            if ticket.stage is Stage.DONE:
                if not isinstance(rows, np.ndarray):
                    rows.forget()
                return
            if ticket.stage is not Stage.SEATED:
                raise ValueError("the rows of a ticket were submitted twice")
            first = not self._line
            ticket.enqueue(rows)
            self._line.append(ticket)
            self._queued += ticket.size
            # An instance that gathers is woken only when it has enough.
            if first or self._queued >= self._policy.max_size:
                self._changed.notify()

    def release(self, ticket: Ticket) -> bool:
        """Take back a ticket's seat, its place in the line and its rows. False if an instance has taken it before."""
        with self._changed:
            waited = ticket.waits
            self._release(ticket)
            return waited

    def take(self) -> list[Taken]:
        """Wait for the next batch, oldest first; empty only once nothing will come any more."""
        with self._changed:
            while True:
                while not self._line and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return []
                self._gather()
                if batch := self._pop():
                    if self._line:  # enough is left for another instance
                        self._changed.notify()
                    return batch

    def pause(self, seconds: float) -> bool:
        """Wait without taking anything; False once nothing will come any more."""
        with self._changed:
            if not self._stopped:
                self._over.wait(seconds)
            return not self._stopped

    def wake(self) -> None:
        """Let another instance do what one was woken for that will not."""
        with self._changed:
            self._changed.notify()

    def hurry(self) -> None:
        """Wait for no more company."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Send the instances home."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            self._over.notify_all()

    # What follows wants the lock to be held.

    def _gather(self) -> None:
        """Wait for company until the window of the oldest ticket closes, or a full batch is there."""
        while self._line and self._queued < self._policy.max_size and not (self._hurried or self._stopped):
            left = self._line.waiting_since() + self._policy.window_ms / 1000 - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _pop(self) -> list[Taken]:
        """Tickets that fit together, strictly in the line's order: none is overtaken by one of its own level and key.
        They are so few that none of them misses its deadline by its company.

        Their rows leave with them: from here on no caller who leaves can change what the call is given.
        """
        batch: list[Taken] = []
        most, now = self._policy.max_size, time.monotonic()
        company = Company(self._pace, most, now, crowded=self._queued > most)
        kind = None
        while self._line:
            ticket = self._line.first()
            if ticket.deadline <= now:  # its timer is due and settles it
                self._release(ticket)
                continue
            kind = kind or ticket.kind()
            if ticket.kind() != kind or not company.admit(ticket.size, ticket.deadline):
                break
            self._dequeue(ticket, taken=True)
            self.waiting -= ticket.size
            batch.append(Taken(ticket, ticket.take()))
        return batch

    def _release(self, ticket: Ticket) -> None:
        if ticket.stage is Stage.QUEUED:
            self._dequeue(ticket)
        if ticket.waits:
            self.waiting -= ticket.size
        ticket.release()

    def _dequeue(self, ticket: Ticket, taken: bool = False) -> None:
        self._line.remove(ticket, taken)
        self._queued -= ticket.size
