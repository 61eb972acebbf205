"""Loads that several wait for, and who is let go."""

import asyncio

import pytest

from service.engine.demand import Demand, Held, Key
from service.errors import DeadlineExceeded, NotReady

ONE, TWO, THREE = ("one", 1), ("two", 1), ("three", 1)


async def test_all_who_want_a_version_share_one_load():
    loaded: list[Key] = []
    gate = asyncio.Event()

    async def load(key: Key) -> None:
        loaded.append(key)
        await gate.wait()

    demand = Demand(load)
    callers = [asyncio.ensure_future(demand.have(ONE, 60)) for _ in range(8)]
    while not loaded:
        await asyncio.sleep(0)
    assert demand.awaited(ONE)
    gate.set()
    await asyncio.gather(*callers)
    assert loaded == [ONE]
    assert not demand.awaited(ONE)
    await demand.have(ONE, 60)
    assert loaded == [ONE, ONE]  # it is for the caller to know that it is there


async def test_a_load_that_fails_tells_all_and_the_next_caller_tries_again():
    tries = 0

    async def load(key: Key) -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        raise NotReady("it is broken")

    demand = Demand(load)
    found = await asyncio.gather(*(demand.have(ONE, 60) for _ in range(5)), return_exceptions=True)
    assert [str(one) for one in found] == ["it is broken"] * 5
    assert tries == 1
    with pytest.raises(NotReady):
        await demand.have(ONE, 60)
    assert tries == 2


async def test_who_waits_too_long_is_told_and_who_leaves_ends_no_load():
    gate = asyncio.Event()
    ended = []

    async def load(key: Key) -> None:
        await gate.wait()
        ended.append(key)

    demand = Demand(load)
    leaves = asyncio.ensure_future(demand.have(ONE, 60))
    stays = asyncio.ensure_future(demand.have(ONE, 60))
    with pytest.raises(DeadlineExceeded, match="one version 1"):
        await demand.have(ONE, 0.001)
    leaves.cancel()
    gate.set()
    await stays
    assert ended == [ONE]
    assert leaves.cancelled() or (await asyncio.gather(leaves, return_exceptions=True))


def test_the_least_recently_used_that_nobody_visits_is_let_go_and_what_is_pinned_never():
    demand = Demand(None)  # type: ignore[arg-type]  # loads nothing here

    def held(key: Key, used: float, **more: bool) -> Held:
        return Held(key, 1, used, **more)

    assert demand.victim([held(ONE, 2), held(TWO, 1), held(THREE, 3)], ("new", 1)) == TWO
    assert demand.victim([held(ONE, 2), held(TWO, 1, busy=True), held(THREE, 3)], ("new", 1)) == ONE
    assert demand.victim([held(ONE, 2, busy=True), held(TWO, 1, busy=True)], ("new", 1)) == TWO
    assert demand.victim([held(ONE, 2), held(TWO, 1, pinned=True)], ("new", 1)) == ONE
    assert demand.victim([held(ONE, 2), held(TWO, 1, promised=True)], ("new", 1)) == ONE
    assert demand.victim([held(TWO, 1, promised=True)], ("new", 1)) is None
    assert demand.victim([held(ONE, 2), held(TWO, 1)], TWO) == ONE
    with pytest.raises(NotReady, match="unload one"):
        demand.victim([held(ONE, 2, pinned=True)], ("new", 1))


async def test_nobody_who_is_still_waited_for_is_let_go():
    gate = asyncio.Event()

    async def load(key: Key) -> None:
        await gate.wait()

    demand = Demand(load)
    caller = asyncio.ensure_future(demand.have(ONE, 60))
    while not demand.awaited(ONE):
        await asyncio.sleep(0)
    assert demand.victim([Held(ONE, 1, 0.0)], TWO) is None
    assert demand.victim([Held(ONE, 1, 0.0), Held(THREE, 1, 9.0)], TWO) == THREE
    gate.set()
    await caller
    assert demand.victim([Held(ONE, 1, 0.0)], TWO) == ONE
