"""A classifier on several stages: one linear layer on the means of several feature maps.

What a pretrained network sees early, texture and colour, its last stage has partly forgotten. Joined stages classify
frozen features well where that matters (Hariharan 2015, hypercolumns; Kornblith 2019 on what last layers drop).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harmonic.errors import FeatureError
from harmonic.graph.backbone import Backbone, features_only
from harmonic.graph.calls import ImageSize

BODY = "backbone.body"  # where the layers of the network lie in one with joined stages, under their own names
_MOST = 3  # maps by default: the coarsest


class JoinedStages(nn.Module):
    """Normalised images (N, C, H, W) in, logits (N, classes) out. `joined_stages` makes one."""

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(sum(backbone.channels), classes)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        means = [found.mean(dim=(2, 3)) for found in self.backbone(x)]
        logits: Tensor = self.head(torch.cat(means, dim=1))
        return logits


def joined_stages(
    model: nn.Module, classes: int, layers: Sequence[str] | None = None, *, size: ImageSize = (3, 224, 224)
) -> JoinedStages:
    """A new network with the layers of a classifier, copied, and an untrained head; the given one is unchanged.

    layers: names of modules or operations whose maps the head sees; None takes the three coarsest of `features_only`.
    size: as there. FeatureError for a network that has no two such maps, and as `features_only`.
    """
    found = features_only(model, size=size, layers=layers)
    if layers is None:
        if len(found.layers) < 2:
            raise FeatureError("the network has feature maps of one resolution only; there is nothing to join.")
        found = Backbone(found.body, found.channels[-_MOST:], found.reductions[-_MOST:], found.layers[-_MOST:])
    return JoinedStages(found, classes).train(model.training)
