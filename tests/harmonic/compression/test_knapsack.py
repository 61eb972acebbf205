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
    items = {f"item{i}": [Option(100_003, 0.0), Option(10_007, 1.0)] for i in range(40)}
    found = cheapest_within(items, 1_000_000)
    assert sum(items[name][i].weight for name, i in found.items()) <= 1_000_000
