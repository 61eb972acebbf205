"""The last layer of a network with a new head: what goes into it are the features, and what it shall make of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Num
from numpy import ndarray
from torch import Tensor, nn

from harmonic.bundles import Classifier, Headed
from harmonic.errors import FeatureError

_AGREE = 1e-3  # how far a network's answers may be from features times weights, of the largest of them


def features_of(headed: Headed, images: Num[Tensor, "n h w c"]) -> Float[Tensor, "n features"]:
    """What goes into the last layer, prepared images given; averaged over places where that is a map."""
    with _caught(headed) as caught, torch.inference_mode():
        Classifier(headed.bundle.model, headed.bundle.card.pixels).eval()(images)
    (given,) = caught
    return given.mean(dim=(2, 3)) if given.ndim == 4 else given


def set_head(
    headed: Headed,
    weight: Float32[ndarray, "classes features"],
    bias: Float32[ndarray, " classes"],
    images: Num[Tensor, "n h w c"],
) -> None:
    """Let the last layer answer features times weight, plus bias; images: prepared ones, on which it is tried.

    FeatureError where the network makes something else of it.
    """
    head = headed.head
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight).reshape(head.weight.shape))
        if head.bias is None:
            raise FeatureError(f"{headed.layer} of {headed.bundle.card.architecture} has no bias. Choose another one.")
        head.bias.copy_(torch.from_numpy(bias))
    wanted = features_of(headed, images).numpy() @ weight.T + bias
    with torch.inference_mode():
        found = Classifier(headed.bundle.model, headed.bundle.card.pixels).eval()(images).numpy()
    apart = (found - found.mean(1, keepdims=True)) - (wanted - wanted.mean(1, keepdims=True))
    if np.abs(apart).max() > _AGREE * max(1.0, float(np.abs(wanted).max())):
        raise FeatureError(
            f"{headed.bundle.card.architecture} does more with its last layer than to answer it. Choose another one."
        )


@contextmanager
def _caught(headed: Headed) -> Iterator[list[Tensor]]:
    caught: list[Tensor] = []

    def catch(_module: nn.Module, given: tuple[Any, ...]) -> None:
        caught.append(given[0].float().clone())  # a layer in place may follow

    hook = headed.head.register_forward_pre_hook(catch)
    try:
        yield caught
    finally:
        hook.remove()
