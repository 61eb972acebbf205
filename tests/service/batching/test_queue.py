from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from service.batching.queue import TicketQueue


@dataclass(frozen=True)
class Guest:
    level: int
    submitted: float
    key: str = ""
    size: int = 1


def guests(levels: list[int]) -> list[Guest]:
    return [Guest(level, float(number)) for number, level in enumerate(levels)]


def emptied(line: TicketQueue[Guest]) -> list[Guest]:
    served = []
    while line:
        served.append(line.first())
        line.remove(served[-1], taken=True)
    return served


@settings(deadline=None)
@given(st.lists(st.integers(1, 4)))
def test_the_more_urgent_go_first_and_equals_in_the_order_they_came(levels):
    line: TicketQueue[Guest] = TicketQueue(4)
    for guest in guests(levels):
        line.append(guest)
    assert emptied(line) == sorted(guests(levels), key=lambda guest: (guest.level, guest.submitted))


@settings(deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1), st.data())
def test_whoever_leaves_changes_nothing_for_the_others(levels, data):
    line: TicketQueue[Guest] = TicketQueue(3)
    everybody = guests(levels)
    for guest in everybody:
        line.append(guest)
    leaver = data.draw(st.sampled_from(everybody))
    line.remove(leaver)
    staying = [guest for guest in everybody if guest is not leaver]
    assert not staying or line.waiting_since() == staying[0].submitted
    assert emptied(line) == sorted(staying, key=lambda guest: (guest.level, guest.submitted))


def test_keys_of_one_level_share_by_images_however_many_tickets_they_bring():
    line: TicketQueue[Guest] = TicketQueue(1)
    many = [Guest(1, float(number), "many", 2) for number in range(4)]
    few = [Guest(1, 10.0 + number, "few") for number in range(3)]
    for guest in [*many, *few]:
        line.append(guest)
    assert emptied(line) == [many[0], few[0], few[1], many[1], few[2], many[2], many[3]]
    line.append(late := Guest(1, 20.0, "late"))
    assert line.first() is late


def test_a_key_that_had_nobody_is_owed_nothing():
    line: TicketQueue[Guest] = TicketQueue(1)
    first = [Guest(1, float(number), "first") for number in range(5)]
    for guest in first:
        line.append(guest)
    for _ in range(3):
        line.remove(line.first(), taken=True)
    late = [Guest(1, 10.0 + number, "late") for number in range(3)]
    for guest in late:
        line.append(guest)
    assert emptied(line) == [late[0], first[3], late[1], first[4], late[2]]
