"""A search finds what sums of losses miss, within the budget and the trials."""

import os
import signal

import pytest

from harmonic.compression.knapsack import Option
from harmonic.compression.search import searched

# Three layers of the same sizes; alone, dropping from "c" looks cheap.
ITEMS = {
    "a": [Option(9, 0.0), Option(6, 1.0), Option(3, 3.0)],
    "b": [Option(9, 0.0), Option(6, 0.9), Option(3, 2.0)],
    "c": [Option(9, 0.0), Option(6, 0.1), Option(3, 0.3)],
}
START = {"a": 0, "b": 1, "c": 2}


def weight(choice):
    return sum(ITEMS[name][number].weight for name, number in choice.items())


def together(choice):
    """Really it is "c" that must stay whole."""
    return {"a": (0, 1, 2), "b": (0, 0.5, 1), "c": (0, 4, 9)}["c"][choice["c"]] + choice["a"] + 0.5 * choice["b"]


def test_it_finds_the_best_choice_where_the_losses_alone_are_wrong():
    asked = []

    def cost(choice):
        asked.append(dict(choice))
        return together(choice)

    found = searched(ITEMS, START, 18, cost, trials=50)
    assert found.choice == {"a": 1, "b": 2, "c": 0}
    assert found.cost == (together(START), together(found.choice))
    assert found.trials == len(asked) - 1
    assert all(weight(choice) <= 18 for choice in asked)
    assert len({tuple(sorted(choice.items())) for choice in asked}) == len(asked)


@pytest.mark.parametrize("trials", [0, 1, 3])
def test_it_tries_no_more_than_it_may(trials):
    found = searched(ITEMS, START, 18, together, trials)
    assert found.trials == trials
    assert together(found.choice) <= together(START)


def test_the_most_promising_neighbour_comes_first():
    """Down with "a" for 1.0 and up with "b" for 0.9: alone, no other pair that fits loses so little."""
    asked = []
    searched(ITEMS, START, 18, lambda choice: asked.append(dict(choice)) or 0.0, trials=1)
    assert asked[1] == {"a": 1, "b": 0, "c": 2}


def test_room_that_is_left_is_used():
    assert searched(ITEMS, {"a": 1, "b": 1, "c": 1}, 27, together, 9).choice == {"a": 0, "b": 0, "c": 0}


def test_ctrl_c_ends_it_with_the_best_so_far():
    def pressed(steps, title):
        for step in steps:
            if step == 3:
                os.kill(os.getpid(), signal.SIGINT)
            yield step

    found = searched(ITEMS, START, 18, together, 50, pressed)
    assert found.trials == 3
    assert found == searched(ITEMS, START, 18, together, 3)
