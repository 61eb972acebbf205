"""Least squares from running sums: which coefficients bring a layer's responses closest to outputs that were wanted.

Knows neither networks nor images. Everything is by group of channels and in float64.
"""

from typing import Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from harmonic.compression.symmetric import symmetric_solution

RIDGE = 1e-3  # of the mean variance of the responses: what keeps little data from moving coefficients far
_SAMPLES = 64  # positions a response: with more of them the solution is the same, and only takes longer


class Moments:
    """What is known of a layer's responses and the outputs that are wanted of them. count: positions seen."""

    def __init__(self, groups: int, responses: int, outputs: int) -> None:
        self.count = 0
        self._responses = torch.zeros(groups, responses, dtype=torch.float64)
        self._outputs = torch.zeros(groups, outputs, dtype=torch.float64)
        self._squares = torch.zeros(groups, responses, responses, dtype=torch.float64)
        self._products = torch.zeros(groups, outputs, responses, dtype=torch.float64)

    def add(
        self, responses: Float[Tensor, "n groups*r h w"], outputs: Float[Tensor, "n groups*o h w"], share: float = 1.0
    ) -> None:
        """Take in a batch, or evenly that share of its positions."""
        taken = _positions(responses, share) if share < 1 else None
        x = self._by_group(_at(responses, taken), self._responses)
        y = self._by_group(_at(outputs, taken), self._outputs)
        self.count += x.shape[2]
        self._responses += x.sum(2).double().cpu()
        self._outputs += y.sum(2).double().cpu()
        self._squares += (x @ x.transpose(1, 2)).double().cpu()
        self._products += (y @ x.transpose(1, 2)).double().cpu()

    def kept(self, responses: Tensor) -> Self:
        """The same for some of the responses of each group, by their numbers."""
        groups, outputs, _ = self._products.shape
        some = type(self)(groups, 0, outputs)
        some.count, some._outputs = self.count, self._outputs
        some._responses = self._responses[:, responses]
        some._squares = self._squares[:, responses][:, :, responses]
        some._products = self._products[:, :, responses]
        return some

    def problem(
        self, start: Float[Tensor, "groups o r"], centred: bool
    ) -> tuple[Float[Tensor, "groups r r"], Float[Tensor, "groups o r"]]:
        """What the coefficients for the least squared error, plus `RIDGE` times their way from the start, obey:
        coefficients @ squares = products.

        centred: the means of the outputs do not count, since something behind corrects them.
        """
        squares, products = self._squares / self.count, self._products / self.count
        if centred:
            mean, wanted = self._responses / self.count, self._outputs / self.count
            squares = squares - mean[:, :, None] * mean[:, None, :]
            products = products - wanted[:, :, None] * mean[:, None, :]
        ridge = (RIDGE * squares.diagonal(dim1=1, dim2=2).mean(1)).clamp(min=1e-12)[:, None, None]
        unit = torch.eye(squares.shape[1], dtype=torch.float64)
        return squares + ridge * unit, products + ridge * start.double().cpu()

    def solved(self, start: Float[Tensor, "groups o r"], centred: bool) -> Float[Tensor, "groups o r"]:
        """The coefficients of the `problem`."""
        squares, products = self.problem(start, centred)
        start = start.double().cpu()
        return start + symmetric_solution(squares, (products - start @ squares).transpose(1, 2)).transpose(1, 2)

    def shift(self, coefficients: Float[Tensor, "groups o r"]) -> Float[Tensor, " outputs"]:
        """What has to be added to the responses' sums for the outputs' own means."""
        mean = (coefficients @ self._responses[:, :, None] / self.count).squeeze(2)
        return (self._outputs / self.count - mean).flatten()

    @staticmethod
    def _by_group(values: Tensor, like: Tensor) -> Tensor:
        """values: channels first."""
        return values.float().reshape(*like.shape, -1)


def _positions(values: Float[Tensor, "n c h w"], share: float) -> Int64[Tensor, " taken"]:
    """The numbers of that share of a batch's positions, evenly from all images."""
    count = values[:, 0].numel()
    # Rounding may lead to the position behind the last, in float32 with many positions it does.
    step = torch.arange(0, count, 1 / share, dtype=torch.float64).long().clamp(max=count - 1)
    return step.to(values.device)


def _at(values: Float[Tensor, "n c h w"], taken: Int64[Tensor, " taken"] | None) -> Float[Tensor, "c taken"]:
    """The values at these positions, at all where there are none; channels first."""
    if taken is None:
        return values.transpose(0, 1).flatten(1)
    rows = values.flatten(2).transpose(1, 2)
    return rows[taken // rows.shape[1], taken % rows.shape[1]].T


def share_of(positions: int, responses: int) -> float:
    """The share of so many positions that is enough for so many responses."""
    return min(1.0, _SAMPLES * max(responses, 256) / positions)
