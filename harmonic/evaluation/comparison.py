"""Two classifiers on the same images: who is right where, and whether the difference could be chance."""

import math
from dataclasses import dataclass

import numpy as np
from rich.table import Column, Table

from harmonic.errors import DataError
from harmonic.evaluation.evaluate import Evaluation
from harmonic.shown import plain


@dataclass(frozen=True, slots=True)
class Comparison:
    """Images by who answers them right. p_value: McNemar's exact test, two-sided: how often two equally good
    classifiers that disagree as often as these would differ by as much or more."""

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Pair two evaluations of the same images; DataError if they are of different ones."""
    if first.classes != second.classes or not np.array_equal(first.labels, second.labels):
        raise DataError(
            "the two classifiers were not measured on the same images and classes, so they cannot be paired."
        )
    right, also = (each.probabilities.argmax(axis=1) == each.labels for each in (first, second))
    both, first_alone, second_alone, neither = (
        int(np.sum(mask)) for mask in (right & also, right & ~also, ~right & also, ~right & ~also)
    )
    return Comparison(both, first_alone, second_alone, neither, mcnemar(first_alone, second_alone))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of a fair coin that falls this unevenly (McNemar 1947, in its exact form)."""
    count, fewer = only_first + only_second, min(only_first, only_second)
    logs = [math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(fewer + 1)]
    tail = math.fsum(math.exp(log - count * math.log(2)) for log in logs)
    return min(1.0, 2 * tail)


def comparison_table(first: Evaluation, second: Evaluation, names: tuple[str, str]) -> Table:
    """Accuracies side by side, and the paired test."""
    paired = compare(first, second)
    table = Table("", *(Column(plain(name), overflow="fold") for name in names), title=plain(f"{first.source}, paired"))
    table.add_row("top-1", f"{first.top(1):.2%}", f"{second.top(1):.2%}")
    table.add_row("right where the other is wrong", f"{paired.only_first:,}", f"{paired.only_second:,}")
    table.add_row("both right; neither", f"{paired.both:,}", f"{paired.neither:,}")
    table.add_row("p-value of the difference", f"{paired.p_value:.3g}", "")
    return table
