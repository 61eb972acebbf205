"""Answers for other class shares than a network was trained with, put into its last bias.

By Bayes' rule p(class | image) grows with the class's share, so that log share is added to every logit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec

LAST = (nn.Linear, nn.modules.conv._ConvNd)  # layers that may end a network


def correct_prior(network: nn.Module, spec: PixelSpec, shares: Float[Tensor, " classes"]) -> None:
    """Turn answers for equally frequent classes into answers for classes of these shares (which sum to 1).

    ZooError for a network without a bias that alone decides, see `output_bias`.
    """
    bias = output_bias(network, spec, len(shares))
    if bias is None:
        raise ZooError("the network has no bias whose values go straight into its logits.")
    with torch.no_grad():
        bias.add_(shares.log().to(bias))


def output_bias(network: nn.Module, spec: PixelSpec, classes: int) -> Tensor | None:
    """The bias whose every value is added to one logit, whatever the image; None where a network has none.

    Found by trial, the last layers first: something is added, and the logits must grow by just that.
    """
    biases = [m.bias for m in network.modules() if isinstance(m, LAST) and m.bias is not None]
    some = next(network.parameters())
    images = trial_images(spec)
    more = torch.linspace(-1.0, 1.0, classes).roll(1).to(some)
    with evaluating(network), torch.no_grad():
        before = network(images.to(some))
        for bias in reversed(biases):
            if len(bias) == classes and _adds(network, images.to(some), bias, more, before):
                return bias
    return None


def _adds(network: nn.Module, images: Tensor, bias: Tensor, more: Tensor, before: Tensor) -> bool:
    kept = bias.clone()
    bias.add_(more)
    grown = network(images) - before
    bias.copy_(kept)
    rounding = 100 * torch.finfo(before.dtype).eps * max(1.0, float(before.abs().max()))
    return bool(torch.allclose(grown, more.expand_as(grown), rtol=0, atol=rounding))


def trial_images(spec: PixelSpec) -> Float[Tensor, "2 planes height width"]:
    """Two images of noise, as a network takes them normalised, on which it is tried what its last layer does."""
    height, width, planes = spec.shape
    images = torch.randn(2, planes, height, width, generator=torch.Generator().manual_seed(0))
    images[:, spec.channels :] = spec.height  # an image's own size, where the network is told
    return images


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """In evaluation mode, and afterwards every module in its own again."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
