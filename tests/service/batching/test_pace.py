"""What calls are expected to take, and who runs together for that."""

import math

import pytest

from service.batching.pace import Company, Pace


def paced(a: float, b: float, sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 5, 3)) -> Pace:
    """Fitted to calls that take a + b n."""
    pace = Pace()
    for size in sizes:
        pace.add(size, a + b * size)
    return pace


@pytest.mark.parametrize(("a", "b"), [(0.01, 0.2), (5.0, 0.1), (0.0, 1.0), (3.0, 0.0)])
def test_a_line_is_found_from_calls_of_several_sizes(a, b):
    pace = paced(a, b)
    for size in (1, 7, 32):
        assert pace.seconds(size) == pytest.approx(a + b * size)
    assert pace.share(10) == pytest.approx(10 * b / (a + 10 * b))


def test_nothing_is_expected_before_the_first_call_and_a_level_line_from_calls_of_one_size():
    assert Pace().seconds(8) == Pace().share(8) == 0.0
    assert [paced(1.0, 0.5, (4, 4, 4)).seconds(size) for size in (1, 4, 32)] == pytest.approx([3.0] * 3)


@pytest.mark.parametrize("calls", [((1, 3.0), (9, 2.0)), ((2, 0.1), (8, 1.6))])
def test_neither_part_of_the_line_is_negative(calls):
    pace = Pace()
    for size, seconds in calls:
        pace.add(size, seconds)
    times = [pace.seconds(size) for size in range(40)]
    assert times == sorted(times) and times[0] >= 0.0


def test_a_call_that_was_held_up_moves_little_and_a_slower_model_is_soon_known():
    pace = paced(0.0, 1.0)
    pace.add(4, 1000.0)
    assert pace.seconds(4) < 12
    for _ in range(20):
        for size in (1, 4, 9):
            pace.add(size, 30.0 * size)
    assert pace.seconds(4) == pytest.approx(120, rel=0.05)


def taken(company: Company, deadlines: list[float]) -> int:
    """How many of one image each are let in."""
    return next((index for index, deadline in enumerate(deadlines) if not company.admit(1, deadline)), len(deadlines))


def test_company_ends_where_the_earliest_deadline_would_be_missed():
    pace = paced(0.0, 1.0)
    assert taken(Company(pace, 32, now=100.0, crowded=False), [math.inf, 110.0, *[math.inf] * 30]) == 8
    assert taken(Company(pace, 32, now=100.0, crowded=True), [math.inf, 110.0, *[math.inf] * 30]) == 8
    assert taken(Company(Pace(), 32, now=100.0, crowded=False), [110.0] * 40) == 32


def test_a_deadline_that_cannot_be_kept_keeps_nobody_out():
    assert taken(Company(paced(0.0, 1.0), 32, now=100.0, crowded=False), [101.0, 102.0, *[math.inf] * 30]) == 32


def test_in_a_crowd_nobody_is_left_behind_where_small_calls_do_less():
    pace = paced(10.0, 1.0)
    deadlines = [120.0, *[math.inf] * 31]
    assert taken(Company(pace, 32, now=100.0, crowded=False), deadlines) == 6
    assert taken(Company(pace, 32, now=100.0, crowded=True), deadlines) == 32


def test_a_request_of_many_images_is_let_in_whole_or_not():
    company = Company(paced(0.0, 1.0), 32, now=0.0, crowded=False)
    assert company.admit(4, 10.0)
    assert not company.admit(5, 100.0)
    assert company.admit(4, 100.0)
    assert not company.admit(25, math.inf)
