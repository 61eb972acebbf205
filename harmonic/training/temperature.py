"""Answers as sure as they are right: all logits are divided by one number, which changes no answer (Guo 2017)."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec
from harmonic.training.prior import LAST, evaluating, trial_images

_LOWEST, _HIGHEST = 0.05, 20.0
_HALVINGS = 60
_LEAST = 1e-30  # probability that is told from none


def best_temperature(
    logits: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"], weights: Float[Tensor, " n"] | None = None
) -> float:
    """What the logits are to be divided by for the labels to be likeliest, from 0.05 to 20. weights: how much each
    image counts; None counts all alike.

    The slope of the loss along 1 / temperature is found to be nothing by halving: the loss is convex there.
    """
    logits, low, high = logits.double(), 1 / _HIGHEST, 1 / _LOWEST
    share = torch.ones(len(labels)).double() if weights is None else weights.double()
    share = share / share.sum()
    right = share @ logits.gather(1, labels[:, None])[:, 0]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = share @ (F.softmax(middle * logits, dim=1) * logits).sum(dim=1)
        low, high = (low, middle) if expected > right else (middle, high)
    return 2 / (low + high)


def log_probabilities(answers: Float[ndarray, "n classes"]) -> Float[ndarray, "n classes"]:
    """Logits of a classifier that answers these probabilities."""
    return np.asarray(np.log(np.maximum(answers, _LEAST)))


def cooled(answers: Float[ndarray, "n classes"], temperature: float) -> Float[ndarray, "n classes"]:
    """The probabilities when all logits are divided by that."""
    return F.softmax(torch.from_numpy(log_probabilities(answers)) / temperature, dim=1).numpy()


def divide_logits(network: nn.Module, spec: PixelSpec, temperature: float) -> None:
    """Divide a network's answers by this, in its last layer; ZooError where that is not possible, see `scales`."""
    if not scales(network, spec):
        raise ZooError("the network's answers are no multiple of its last layer's.")
    with torch.no_grad():
        for parameter in _last(network).parameters():
            parameter.div_(temperature)


def scales(network: nn.Module, spec: PixelSpec) -> bool:
    """Whether the answers are a multiple of what the last layer gives, found by trial: it is halved, and they must be.

    Where a ReLU or a mean follows it they are; where a norm does, they are not.
    """
    own = list(_last(network).parameters())
    with evaluating(network), torch.no_grad():
        images = trial_images(spec).to(own[0])
        before = network(images)
        for parameter in own:
            parameter.div_(2)  # exact, and so is the way back
        after = network(images)
        for parameter in own:
            parameter.mul_(2)
    return torch.allclose(2 * after, before, rtol=1e-3, atol=1e-4 * float(before.abs().max()))


def _last(network: nn.Module) -> nn.Module:
    return [module for module in network.modules() if isinstance(module, LAST)][-1]
