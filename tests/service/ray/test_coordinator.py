"""The coordinator, asked as replicas ask it."""

import pytest

from service.config import Settings
from service.ray.coordinator import UNKNOWN, Coordinator

pytestmark = pytest.mark.timeout(30)
BRIEF = {"again": False, "ready": True, "models": []}


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator(Settings(load_models="cats"))


async def test_a_replica_gets_a_number_of_its_own_and_what_to_load(coordinator: Coordinator) -> None:
    assert await coordinator.join("a") == {"number": 1, "load_models": "cats"}
    assert (await coordinator.join("b"))["number"] == 2
    assert (await coordinator.join("c", 7))["number"] == 7  # as under the coordinator before this one
    assert (await coordinator.join("d", 7))["number"] == 8


async def test_who_has_no_seat_is_told_to_join(coordinator: Coordinator) -> None:
    assert await coordinator.fetch(3, 0) is None
    assert await coordinator.ask(3, "gather", {}) == (UNKNOWN, {})
    await coordinator.answer(3, 1, "", {})
    await coordinator.leave(3)


async def test_a_replica_that_joins_anew_has_one_seat(coordinator: Coordinator) -> None:
    assert (await coordinator.join("a"))["number"] == 1
    await coordinator.ask(1, "started", BRIEF)
    assert (await coordinator.join("a", 1))["number"] == 1
    assert await coordinator.ask(1, "started", {**BRIEF, "again": True}) == ("", {"ready": True})


async def test_all_are_told_whether_all_are_ready(coordinator: Coordinator) -> None:
    for name in "ab":
        number = (await coordinator.join(name))["number"]
        assert await coordinator.ask(number, "started", BRIEF) == ("", {"ready": True})
    await coordinator.ask(2, "state", {**BRIEF, "ready": False})
    told = await coordinator.fetch(1, 0)
    assert [(what, facts) for _, what, _, facts in told or ()][-1] == ("whole", {"ready": False})
    await coordinator.leave(2)
    told = await coordinator.fetch(1, 0)
    assert [(what, facts) for _, what, _, facts in told or ()][-1] == ("whole", {"ready": True})


async def test_what_it_does_not_know_is_an_error(coordinator: Coordinator) -> None:
    await coordinator.join("a")
    error, said = await coordinator.ask(1, "dance", {})
    assert error == "ServiceError"
    assert "dance" in said["message"]
