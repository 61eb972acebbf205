"""A network with a new head: its last layer answers other classes, and what goes into that layer are the features."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Num
from numpy import ndarray
from torch import Tensor, nn

from harmonic import zoo
from harmonic.bundles import Bundle, Classifier
from harmonic.errors import FeatureError

_AGREE = 1e-3  # how far a network's answers may be from features times weights, of the largest of them


@dataclass(frozen=True, slots=True)
class Headed:
    """A bundle whose network has an untrained last layer for new classes. layer: its name in the network."""

    bundle: Bundle
    layer: str

    @property
    def head(self) -> nn.Linear | nn.Conv2d:
        """The last layer."""
        return cast(nn.Linear | nn.Conv2d, self.bundle.model.get_submodule(self.layer))


def with_new_head(start: Bundle, classes: Sequence[str]) -> Headed:
    """The same network for other classes; its last layer is untrained.

    FeatureError for a network whose last layer is not one linear layer, or one convolution of one pixel.
    """
    name, arguments = start.card.architecture, start.card.arguments
    with torch.random.fork_rng(devices=[]):
        shapes = [_shapes(zoo.create(name, count, **arguments)) for count in (2, 3)]
        model = zoo.create(name, len(classes), **arguments)
    changing = {key for key in shapes[0] if shapes[0][key] != shapes[1][key]}
    layers = {key.rpartition(".")[0] for key in changing}
    layer = layers.pop() if len(layers) == 1 else ""
    head = model.get_submodule(layer) if layer else None
    if not (isinstance(head, nn.Linear) or (isinstance(head, nn.Conv2d) and head.kernel_size == (1, 1))):
        raise FeatureError(f"{name} does not end in one linear layer that could be replaced. Choose another one.")
    kept = {key: value for key, value in start.model.state_dict().items() if key not in changing}
    model.load_state_dict({**model.state_dict(), **kept})
    card = start.card.model_copy(update={"classes": tuple(classes), "metrics": {}, "recipe": None})
    return Headed(Bundle(card, model.eval()), layer)


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
        if isinstance(head, nn.Conv2d):
            # A ReLU may follow. The same sum in every class's answer changes no probability, and none is cut off.
            head.bias.add_(4 * _largest(headed, images))
    wanted = features_of(headed, images).numpy() @ weight.T + bias
    with torch.inference_mode():
        found = Classifier(headed.bundle.model, headed.bundle.card.pixels).eval()(images).numpy()
    apart = (found - found.mean(1, keepdims=True)) - (wanted - wanted.mean(1, keepdims=True))
    if np.abs(apart).max() > _AGREE * max(1.0, float(np.abs(wanted).max())):
        raise FeatureError(
            f"{headed.bundle.card.architecture} does more with its last layer than to answer it. Choose another one."
        )


def _largest(headed: Headed, images: Num[Tensor, "n h w c"]) -> float:
    """The largest answer of the last layer at any place, with either sign."""
    found: list[Tensor] = []
    hook = headed.head.register_forward_hook(lambda _module, _given, answer: found.append(answer))
    try:
        features_of(headed, images)
    finally:
        hook.remove()
    return max(1.0, float(found[0].abs().max()))


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


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in model.state_dict().items()}
