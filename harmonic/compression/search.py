"""Better levels than the sum of losses finds: one layer up, another down, kept where the whole network comes closer.

Pure; what a choice costs is handed in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harmonic.compression.knapsack import Option
from harmonic.compression.watch import Watch, unwatched

Choice = Mapping[str, int]  # the number of each item's option
Cost = Callable[[Choice], float]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. cost: of the choice that it was given, and of the one that it found. trials: made."""

    choice: Choice
    cost: tuple[float, float]
    trials: int


def searched(
    items: Mapping[str, Sequence[Option]],
    start: Mapping[str, int],
    budget: int,
    cost: Cost,
    trials: int,
    watch: Watch = unwatched,
) -> Found:
    """Try neighbours of a choice within a total weight, the most promising first, and go on from each that costs less.

    items: the options of each, by weight in any order; their costs alone say which neighbour promises most. cost: what
    a whole choice really costs; asked at most `trials` times beside the first. Ctrl-C ends the search with the best so
    far.
    """
    best: Choice = dict(start)
    least = first = cost(best)
    tried, made = {_key(best)}, 0
    try:
        for _ in watch(range(trials), "Trying other choices"):
            neighbour = next((n for n in _neighbours(items, best, budget) if _key(n) not in tried), None)
            if neighbour is None:
                break
            tried.add(_key(neighbour))
            found, made = cost(neighbour), made + 1
            if found < least:
                best, least = neighbour, found
    except KeyboardInterrupt:
        pass  # What was tried so far is what was asked for.
    return Found(best, (first, least), made)


def _neighbours(items: Mapping[str, Sequence[Option]], choice: Choice, budget: int) -> Iterator[Choice]:
    """Choices with one item a step heavier, another a step lighter, or both, that fit; what promises most first."""
    weight = sum(items[name][number].weight for name, number in choice.items())
    steps = [step for name in items for step in _steps(name, items[name], choice[name])]
    up, down = ([step for step in steps if (step.weight > 0) == heavier] for heavier in (True, False))
    pairs = [(u, d) for u in up for d in down if u.name != d.name]
    moves = [m for m in [*pairs, *((u,) for u in up)] if weight + sum(step.weight for step in m) <= budget]
    for move in sorted(moves, key=lambda move: sum(step.cost for step in move)):
        yield {**choice, **{step.name: step.number for step in move}}


@dataclass(frozen=True, slots=True)
class _Step:
    """From an item's option to the next heavier or lighter one: what changes."""

    name: str
    number: int
    weight: int
    cost: float


def _steps(name: str, options: Sequence[Option], number: int) -> Iterator[_Step]:
    now = options[number]
    order = sorted(range(len(options)), key=lambda n: options[n].weight)
    at = order.index(number)
    for other in order[max(at - 1, 0) : at] + order[at + 1 : at + 2]:
        yield _Step(name, other, options[other].weight - now.weight, options[other].cost - now.cost)


def _key(choice: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(choice.items()))
