"""Which responses of a layer can be missed best: they go one after the other, and what is left makes up for each.

What is left is solved by then, so the coefficients come with the choice.

Source: the least-squares form of "Optimal Brain Surgeon" (Hassibi, Stork, Wolff 1993): with A the squares of the
responses and X the coefficients, leaving out responses D adds sum X_D^T (A^-1)_DD^-1 X_D to the squared error.
Knows neither networks nor images. Everything is by group of channels and in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from harmonic.compression.symmetric import symmetric_inverse

_AT_ONCE = 12  # of so many responses one goes before scores are looked at again


@dataclass(frozen=True, eq=False)
class Staying:
    """Some of the responses, the same in every group, and the coefficients that solve the problem with them alone."""

    mask: Bool[Tensor, " r"]
    coefficients: Float[Tensor, "groups o left"]


def eliminated(
    squares: Float[Tensor, "groups r r"], products: Float[Tensor, "groups o r"], counts: Sequence[int]
) -> dict[int, Staying]:
    """The responses that stay, for each of these counts.

    squares, products: of an invertible least-squares problem, coefficients @ squares = products.
    """
    left, found = _Left.of(squares, products), {}
    for count in sorted(counts, reverse=True):
        while len(left.numbers) > count:
            step = min(len(left.numbers) - count, max(1, len(left.numbers) // _AT_ONCE))
            left = left.without(left.scores().argsort()[:step])
        found[count] = left.staying(squares.shape[1])
    return found


def eliminated_units(
    squares: Float[Tensor, "groups r r"], products: Float[Tensor, "groups o r"], units: Int64[Tensor, " r"]
) -> dict[int, Staying]:
    """As `eliminated` for whole units of responses, for every count of units from one. units: of each response."""
    left, found = _Left.of(squares, products), {}
    going = sorted(set(units.tolist()))
    while len(going) > 1:
        places = {unit: (units[left.numbers] == unit).nonzero().flatten() for unit in going}
        worst = min(going, key=lambda unit: left.score(places[unit]))
        going.remove(worst)
        left = left.without(places[worst])
        found[len(going)] = left.staying(squares.shape[1])
    return found


@dataclass(frozen=True, eq=False)
class _Left:
    """A least-squares problem of some responses. numbers: which; inverse: of their squares; solution: coefficients."""

    numbers: Int64[Tensor, " left"]
    inverse: Float[Tensor, "groups left left"]
    solution: Float[Tensor, "groups left o"]

    @classmethod
    def of(cls, squares: Tensor, products: Tensor) -> Self:
        inverse = symmetric_inverse(squares)
        return cls(torch.arange(squares.shape[1]), inverse, inverse @ products.transpose(1, 2))

    def scores(self) -> Float[Tensor, " left"]:
        """What the squared error grows by without each response alone."""
        return (self.solution.square().sum(2) / self.inverse.diagonal(dim1=1, dim2=2)).sum(0)

    def score(self, places: Int64[Tensor, " gone"]) -> float:
        """What it grows by without these responses together."""
        gone = self.solution[:, places]
        return float((gone * torch.linalg.solve(self.inverse[:, places][:, :, places], gone)).sum())

    def without(self, places: Int64[Tensor, " gone"]) -> Self:
        """The problem of the other responses: its inverse is a Schur complement of this one."""
        staying = torch.ones(len(self.numbers), dtype=torch.bool)
        staying[places] = False
        stays = staying.nonzero().flatten()
        rows, gone = self.inverse[:, places], self.solution[:, places]
        across = rows[:, :, stays]
        share = torch.linalg.solve(rows[:, :, places], across).transpose(1, 2)
        inverse = self.inverse[:, stays][:, :, stays] - share @ across
        return type(self)(self.numbers[stays], inverse, self.solution[:, stays] - share @ gone)

    def staying(self, responses: int) -> Staying:
        mask = torch.zeros(responses, dtype=torch.bool)
        mask[self.numbers] = True
        return Staying(mask, self.solution.transpose(1, 2))
