"""Backbones: the feature maps of any classifier, one for each resolution, for detectors and segmenters.

>>> backbone = features_only(zoo.create("harm_resnet50", classes=1000))
>>> backbone.channels, backbone.reductions
((256, 512, 1024, 2048), (4, 8, 16, 32))
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import DualGraphModule, create_feature_extractor

from harmonic.errors import FeatureError
from harmonic.graph.calls import ImageSize
from harmonic.graph.feature_maps import named, pyramid
from harmonic.graph.steps import flow, tracer_arguments


class Backbone(nn.Module):
    """A classifier without its head: normalised images (N, C, H, W) in, a list of feature maps (N, C2, H2, W2) out.

    channels: of each map. reductions: input pixels for one of its cells, along each side. layers: names of the modules
    or operations whose results the maps are. `features_only` makes one.
    """

    def __init__(
        self, body: nn.Module, channels: tuple[int, ...], reductions: tuple[int, ...], layers: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.body, self.channels, self.reductions, self.layers = body, channels, reductions, layers
        self.training = body.training

    def forward(self, x: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        maps = self.body(x)
        return [maps[layer] for layer in self.layers]

    def __reduce__(self) -> tuple[Callable[..., "Backbone"], tuple[Any, ...]]:
        # A graph of its own can be stored, as its code; the pair of them that swaps with the mode cannot.
        body: Any = self.body
        graphs = (fx.GraphModule(body, graph) for graph in (body.train_graph, body.eval_graph))
        return _restored, (*graphs, self.training, self.channels, self.reductions, self.layers)

    def extra_repr(self) -> str:
        return f"channels={self.channels}, reductions={self.reductions}, layers={self.layers}"


def features_only(
    model: nn.Module, *, size: ImageSize = (3, 224, 224), layers: Sequence[str] | None = None
) -> Backbone:
    """A new network that gives feature maps in place of a classifier's answer; the given one is unchanged.

    layers: names of modules or operations whose results to give, in this order. Without them: one map for each
    resolution, finest first, as `pyramid` chooses them. What only the head needs is left out, parameters and all.
    size: channels, rows and columns of an image that the network takes; the backbone takes others too.
    Raises FeatureError for a network that cannot be traced or does not run on such an image, and for layers that do
    not exist or give no map.
    """
    if isinstance(layers, str) or (layers is not None and not layers):
        raise FeatureError(f"layers is a list of names, not {layers!r}.")
    steps = flow(model, size)
    maps = pyramid(steps) if layers is None else [named(steps, layer) for layer in layers]
    names = [found.layer for found in maps]
    body = create_feature_extractor(
        copy.deepcopy(model), names, tracer_kwargs=tracer_arguments(model), suppress_diff_warning=True
    )
    channels, reductions = tuple(found.channels for found in maps), tuple(found.reduction for found in maps)
    return Backbone(body, channels, reductions, tuple(names))


def _restored(train: fx.GraphModule, evaluation: fx.GraphModule, training: bool, *described: Any) -> Backbone:
    body = DualGraphModule(evaluation, train.graph, evaluation.graph)
    return Backbone(body, *described).train(training)
