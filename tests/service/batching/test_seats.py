"""Who has a ticket's rows, whatever its caller does meanwhile."""

import asyncio

import numpy as np
import pytest

from service.batching.pace import Pace
from service.batching.policy import BatchPolicy
from service.batching.seats import Seats
from service.batching.ticket import Answer, Desk, Rows, Ticket

ONE, OTHER = np.zeros((1, 2)), np.ones((2, 2))


class Nobody(Desk):
    """A desk that is never asked."""


def seated(seats: Seats, size: int, deadline_s: float = 60) -> Ticket:
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    ticket = Ticket(Nobody(), size, 1, 0, deadline_s, future)
    seats.admit(ticket)
    return ticket


def queued(seats: Seats, rows: Rows, deadline_s: float = 60) -> Ticket:
    ticket = seated(seats, len(rows), deadline_s)
    seats.queue(ticket, rows)
    return ticket


@pytest.fixture
async def seats():
    """Seats belong to the loop of those who wait."""
    return Seats(BatchPolicy(), Pace())


async def test_rows_that_an_instance_has_taken_stay_when_their_callers_leave(seats):
    first, second = queued(seats, ONE), queued(seats, OTHER)
    batch = seats.take()
    assert [seats.release(ticket) for ticket in (first, second)] == [False, False]
    assert [part.ticket for part in batch] == [first, second]
    assert [part.content is rows for part, rows in zip(batch, (ONE, OTHER), strict=True)] == [True, True]
    assert seats.waiting == 0


async def test_whoever_leaves_before_gives_seat_and_rows_back_once(seats):
    making, waiting, staying = seated(seats, 3), queued(seats, OTHER), queued(seats, ONE)
    assert seats.waiting == 6
    assert [seats.release(ticket) for ticket in (making, waiting, waiting)] == [True, True, False]
    seats.queue(making, np.zeros((3, 2)))  # its rows come too late
    assert seats.waiting == 1
    assert [part.ticket for part in seats.take()] == [staying]
    assert seats.waiting == 0


async def test_a_ticket_past_its_deadline_is_not_taken(seats):
    queued(seats, OTHER, deadline_s=-1)
    staying = queued(seats, ONE)
    assert [part.ticket for part in seats.take()] == [staying]
    assert seats.waiting == 0


@pytest.mark.parametrize(("behind", "together"), [(30, 9), (60, 9)])
async def test_an_instance_takes_no_more_than_the_earliest_deadline_allows(behind, together):
    pace = Pace()
    for images in (1, 4, 9):
        pace.add(images, 100.0 * images)
    seats = Seats(BatchPolicy(max_size=32), pace)
    hopeless, first = queued(seats, ONE, deadline_s=50), queued(seats, ONE, deadline_s=1200)
    for _ in range(behind):
        queued(seats, ONE, deadline_s=100_000)
    batch = seats.take()
    assert [part.ticket for part in batch[:2]] == [hopeless, first]
    assert len(batch) == together
    assert len(seats.take()) == min(32, behind + 2 - together)


async def test_rows_are_submitted_once_and_as_many_as_were_announced(seats):
    with pytest.raises(ValueError, match="2 rows for a ticket of 1"):
        seats.queue(seated(seats, 1), OTHER)
    ticket = queued(seats, ONE)
    with pytest.raises(ValueError, match="twice"):
        seats.queue(ticket, ONE)


async def test_nothing_is_taken_once_it_is_over(seats):
    queued(seats, ONE)
    seats.stop()
    assert seats.take() == []
    assert not seats.pause(60)
