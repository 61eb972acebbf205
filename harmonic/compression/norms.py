"""The norms between layers: what they are given, and how their statistics move when that changes.

Knows batch norms; neither images nor cuts.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from harmonic.layers import BandNormConv2d

Statistics = tuple[Float64[Tensor, " c"], Float64[Tensor, " c"]]  # mean and variance of every channel

_LEAST_VARIANCE = 0.05  # of what a norm had: a difference of two estimates may be below zero
_ROUNDED = 1e-4  # of a channel's squared mean: a variance below it has lost digits as a difference of float32 sums


def outer_norms(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """Batch norms between layers, not those within them."""
    inner = {id(layer.norm) for layer in model.modules() if isinstance(layer, BandNormConv2d)}
    modules = model.named_modules()
    return {name: norm for name, norm in modules if isinstance(norm, nn.BatchNorm2d) and id(norm) not in inner}


def statistics(batches: Sequence[Tensor]) -> Statistics:
    """Mean and variance of every channel over all images and positions.

    From sums over each image's channels, a twentieth of the work of a second pass in float64; that one is for the
    channels whose variance is so small beside their mean that the sums do not tell it.
    """
    count = sum(batch[:, 0].numel() for batch in batches)
    rows = [batch.flatten(2) for batch in batches]
    mean = torch.stack([row.sum(2).double().sum(0) for row in rows]).sum(0) / count
    squares = [torch.linalg.vector_norm(row, dim=2).double().square().sum(0) for row in rows]
    variance = torch.stack(squares).sum(0) / count - mean.square()
    rounded = (variance < _ROUNDED * mean.square()).nonzero().flatten()
    if len(rounded):
        mean[rounded], variance[rounded] = _exact([row[:, rounded].double() for row in rows], count)
    return mean, variance


def move_statistics(norm: nn.BatchNorm2d, now: Statistics, was: Statistics, spread: bool = True) -> None:
    """Move a norm's mean, and where `spread` its variance, by the difference between what it gets now and what it
    got."""
    if norm.running_mean is None or norm.running_var is None:
        return
    norm.running_mean.add_(now[0] - was[0])
    if spread:
        least = _LEAST_VARIANCE * norm.running_var
        norm.running_var.add_(now[1] - was[1])
        norm.running_var.copy_(torch.maximum(norm.running_var, least))


def _exact(rows: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    mean = torch.stack([row.sum((0, 2)) for row in rows]).sum(0) / count
    squares = [(row - mean[:, None]).square().sum((0, 2)) for row in rows]
    return mean, torch.stack(squares).sum(0) / count
