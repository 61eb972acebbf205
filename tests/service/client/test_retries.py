"""When a client asks again: pauses by chance, and a budget that no storm can pass."""

import math
import random

import pytest

from service.client.retries import Budget, Retries

RETRIES = Retries(first_s=0.1, longest_s=5)


@pytest.mark.parametrize(("repetition", "longest"), [(1, 0.1), (2, 0.2), (5, 1.6), (7, 5.0), (1000, 5.0)])
def test_a_pause_is_anywhere_between_nothing_and_a_bound_that_doubles(repetition, longest):
    chance = random.Random(0).random
    pauses = [RETRIES.pause_s(repetition, None, chance()) for _ in range(400)]
    assert max(pauses) <= longest
    assert min(pauses) < 0.05 * longest
    assert max(pauses) > 0.95 * longest


def test_what_the_service_says_comes_on_top_so_that_nobody_comes_sooner_or_all_at_once():
    assert RETRIES.pause_s(1, 3.0, 0.0) == 3.0
    assert RETRIES.pause_s(1, 3.0, 1.0) == 3.1


@pytest.mark.parametrize("asking", [1, 50, 1000])
def test_a_service_that_refuses_everything_is_asked_no_more_than_the_budget(asking):
    """So many requests, each repeated as soon as it may, for a minute."""
    budget, minute = Budget(RETRIES), 60.0
    waiting, repeated = [0.0] * asking, 0
    while (now := min(waiting)) < minute:
        waiting.remove(now)
        due = now + max(0.01, budget.take(now))
        repeated += due < minute
        waiting.append(due)
    assert RETRIES.burst <= repeated <= RETRIES.burst + RETRIES.per_second * minute


def test_answers_earn_repetitions_and_what_is_given_back_is_there_again():
    budget = Budget(Retries(burst=1, per_second=0, share=0.5))
    assert budget.take(0) == 0
    assert budget.take(0) == math.inf
    budget.give_back()
    budget.earn()
    assert budget.take(9) == math.inf
    budget.give_back()
    budget.earn()
    assert budget.take(9) == 0


def test_quiet_times_save_up_no_more_than_the_burst():
    budget = Budget(Retries(burst=2, per_second=1))
    budget.take(0)
    assert [budget.take(1000.0) for _ in range(4)] == [0, 0, 1, 2]
