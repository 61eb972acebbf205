import itertools

import numpy as np
import pytest

from harmonic.compression.knapsack import Option, cheapest_within


def test_the_knapsack_finds_what_trying_everything_finds():
    rng = np.random.default_rng(3)
    items = {
        f"item{i}": [Option(int(w), float(c)) for w, c in zip(rng.integers(1, 50, 4), rng.random(4), strict=True)]
        for i in range(5)
    }
    for budget in (60, 90, 140, 240):
        choices = itertools.product(*(range(4) for _ in items))
        valid = [c for c in choices if sum(o[i].weight for o, i in zip(items.values(), c, strict=True)) <= budget]
        best = min((sum(o[i].cost for o, i in zip(items.values(), c, strict=True)) for c in valid), default=None)
        found = cheapest_within(items, budget)
        if best is None:
            assert found is None
        else:
            assert sum(items[name][i].weight for name, i in found.items()) <= budget
            assert sum(items[name][i].cost for name, i in found.items()) == pytest.approx(best)


def test_the_knapsack_keeps_a_budget_that_is_too_fine_for_its_steps():
    items = {f"item{i}": [Option(1_000_003, 0.0), Option(100_007, 1.0)] for i in range(12)}
    found = cheapest_within(items, 5_000_000)
    assert sum(items[name][i].weight for name, i in found.items()) <= 5_000_000


def test_a_budget_that_is_met_to_the_last_unit_is_used_to_it():
    """A grid of 4,000 steps would round one of the two up and forbid it."""
    items = {"one": [Option(65_537, 0.0), Option(1, 1.0)], "other": [Option(34_463, 0.0), Option(1, 1.0)]}
    assert cheapest_within(items, 100_000) == {"one": 0, "other": 0}
    assert 1 in cheapest_within(items, 99_999).values()
