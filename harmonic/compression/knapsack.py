"""One option for each item, least total cost within a total weight: the multiple-choice knapsack, solved by dynamic
programming.

Pure; knows nothing of networks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_STEPS = 1_000_000  # the finest grid: weights that have no larger common divisor are rounded up to it


@dataclass(frozen=True, slots=True)
class Option:
    """One way to have an item. weight: of the budget it takes; cost: what shall be least in total."""

    weight: int
    cost: float


def cheapest_within(items: Mapping[str, Sequence[Option]], budget: int) -> dict[str, int] | None:
    """The index of the option to take for each item; None where even the lightest options exceed the budget.

    Exact, unless the weights' greatest common divisor goes into the budget more than a million times: then they are
    rounded up to a millionth of it, so the budget still holds, and the lightest choice is taken where rounding alone
    would forbid it.
    """
    lightest = {name: min(range(len(options)), key=lambda i: options[i].weight) for name, options in items.items()}
    if sum(items[name][index].weight for name, index in lightest.items()) > budget:
        return None
    divisor = math.gcd(*(option.weight for options in items.values() for option in options))
    unit = max(1, divisor, -(-budget // _STEPS))
    best = np.zeros(budget // unit + 1)  # least cost of the items so far, by units used at most
    picks: list[np.ndarray] = []
    for options in items.values():
        rows = np.stack([_shifted(best, -(-option.weight // unit)) + option.cost for option in options])
        picks.append(rows.argmin(axis=0).astype(np.min_scalar_type(len(options))))
        best = rows.min(axis=0)
    return _traced(items, picks, unit, len(best) - 1) if np.isfinite(best[-1]) else lightest


def _shifted(best: np.ndarray, units: int) -> np.ndarray:
    if units >= len(best):
        return np.full_like(best, np.inf)
    return np.concatenate([np.full(units, np.inf), best[: len(best) - units]])


def _traced(items: Mapping[str, Sequence[Option]], picks: list[np.ndarray], unit: int, left: int) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for name, pick in reversed(list(zip(items, picks, strict=True))):
        chosen[name] = int(pick[left])
        left -= -(-items[name][chosen[name]].weight // unit)
    return {name: chosen[name] for name in items}
