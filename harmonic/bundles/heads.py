"""A network with a new head: its last layer answers other classes, everything below it stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from harmonic import zoo
from harmonic.bundles.bundle import Bundle
from harmonic.errors import FeatureError
from harmonic.graph import BODY, joined_stages


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
    """The same network for other classes; its last layer is untrained, and no ReLU stands behind it.

    FeatureError for a network whose last layer is not one linear layer, or one convolution of one pixel.
    """
    name, arguments = start.card.architecture, start.card.arguments
    if zoo.hubs.ends_in_relu(name):
        arguments = {**arguments, "bare_head": True}
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
    changes = {"arguments": arguments, "classes": tuple(classes), "metrics": {}, "recipe": None}
    card = start.card.model_copy(update=changes)
    return Headed(Bundle(card, model.eval()), layer)


def with_joined_stages(start: Bundle) -> Headed:
    """The same network with an untrained last layer that sees the feature maps of several stages.

    FeatureError for a network with maps of one resolution only, one that cannot be traced, or one that is such a
    network already.
    """
    name, arguments = start.card.architecture, start.card.arguments
    if arguments.get("joined"):
        raise FeatureError(f"this {name} joins stages already.")
    spec = start.card.pixels
    with torch.random.fork_rng(devices=[]):
        model = joined_stages(start.model, len(start.card.classes), size=(spec.channels, spec.height, spec.width))
    inside = {f"{BODY}.{layer}": plan for layer, plan in (arguments.get("spectrum") or {}).items()}
    there = dict(model.named_modules())
    changes = {
        "joined": list(model.backbone.layers),
        "spectrum": {layer: plan for layer, plan in inside.items() if layer in there},
    }
    card = start.card.model_copy(update={"arguments": {**arguments, **changes}, "metrics": {}, "recipe": None})
    return Headed(Bundle(card, model.eval()), "head")


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in model.state_dict().items()}
