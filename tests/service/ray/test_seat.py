"""What a replica is to do lies in its seat until it fetches it."""

import asyncio

import pytest

from service.errors import ModelNotFound
from service.handover import Gone
from service.ray.seat import Seat

pytestmark = pytest.mark.timeout(30)


async def test_a_task_is_fetched_answered_and_forgotten() -> None:
    seat = Seat(1, "a")
    asked = asyncio.ensure_future(seat.ask("act", 20, name="cats"))
    ((number, what, wanted, facts),) = await seat.fetch(0, 20)
    assert (what, wanted, facts) == ("act", True, {"name": "cats"})
    assert await seat.fetch(0, 0) == [(number, "act", True, {"name": "cats"})]  # it may not have arrived
    seat.answer(number, "", {"done": 1})
    assert await asked == {"done": 1}
    assert await seat.fetch(number, 0) == []
    seat.answer(number, "", {})  # nobody waits any more


async def test_an_error_comes_back_as_what_it_was() -> None:
    seat = Seat(1, "a")
    asked = asyncio.ensure_future(seat.ask("act", 20))
    ((number, *_),) = await seat.fetch(0, 20)
    seat.answer(number, "ModelNotFound", {"message": "no such model", "retry_after_s": None})
    with pytest.raises(ModelNotFound, match="no such model"):
        await asked


async def test_whoever_fetches_is_woken_by_what_is_told() -> None:
    seat = Seat(1, "a")
    fetching = asyncio.ensure_future(seat.fetch(0, 20))
    await asyncio.sleep(0)
    seat.tell("whole", ready=True)
    assert await fetching == [(1, "whole", False, {"ready": True})]


async def test_who_waits_for_a_replica_that_is_gone_hears_so_at_once() -> None:
    seat = Seat(1, "a")
    asked = asyncio.ensure_future(seat.ask("report", 20))
    fetching = asyncio.ensure_future(seat.fetch(0, 20))
    assert len(await fetching) == 1
    seat.leave()
    with pytest.raises(Gone):
        await asked
    with pytest.raises(Gone):
        await seat.ask("report", 20)


async def test_a_question_has_an_end() -> None:
    with pytest.raises(TimeoutError):
        await Seat(1, "a").ask("report", 0.01)


def test_a_replica_that_asks_no_more_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    seat = Seat(1, "a")
    assert not seat.silent()
    monkeypatch.setattr("service.ray.seat.GONE_SECONDS", -1.0)
    assert seat.silent()
