from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from service.batching.queue import TicketQueue


@dataclass(frozen=True)
class Guest:
    level: int
    submitted: float


def guests(levels: list[int]) -> list[Guest]:
    return [Guest(level, float(number)) for number, level in enumerate(levels)]


def emptied(line: TicketQueue[Guest]) -> list[Guest]:
    served = []
    while line:
        served.append(line.first())
        line.remove(served[-1])
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
